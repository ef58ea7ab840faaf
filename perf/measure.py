"""Runs the contenders of a case in turns, and gives what results.py keeps of it.

  1. the machine is probed (noise.py); is it too noisy, it is given PATIENCE seconds to settle
  2. a round is one run of each contender, each round begins with another one; before each the machine
     is probed again, and once at the end, so that the probes see the time that the runs see
  3. was it too noisy over all of it, the case is refused (record.py asks again when the rest is done)

A contender that fails is out; the others go on.
"""
import time

import contenders
import noise
import results

PATIENCE = 20  # seconds, in front of a case
PAUSE = 2


def plan(cases, rounds):
    return [(case.name, name) for case in cases for name in case.commands for _ in range(rounds)]


def rounds_of(case, rounds, probe, progress):
    """{contender: [metrics]} and who failed; probe() is called before each round and after the last."""
    runs, failed, names = {name: [] for name in case.commands}, [], list(case.commands)
    for number in range(rounds):
        probe()
        turn = number % max(len(names), 1)
        for name in names[turn:] + names[:turn]:
            if name in failed:
                continue
            progress.begin(case.name, name, f"{case.name}: round {number + 1}/{rounds}, {name}")
            values = contenders.numbers(case.commands[name], name not in contenders.WRAPPED)
            progress.end()
            if values is None:
                failed.append(name)
            else:
                runs[name].append(values)
    probe()
    return {name: each for name, each in runs.items() if name not in failed}, failed


def settle(judge, progress):
    """Waits until a probe is within the bound; says whether one was."""
    end = time.monotonic() + PATIENCE
    while not judge.quiet_now():
        if time.monotonic() > end:
            return False
        progress.say(f"{judge.last_words()}; waiting for that to pass")
        time.sleep(PAUSE)
    return True


def attempt(case, rounds, progress, judge):
    watch = noise.Watch(judge)
    runs, failed = rounds_of(case, rounds, watch.probe, progress)
    return runs, failed, watch.end()


def measure(row, case, rounds, progress, judge, noisy_ok=False):
    kept = {"row": row, "title": case.title, "note": case.note, "name": case.name,
            "axis": case.axis, "x": case.x, "log": case.log, "metrics": case.metrics,
            "plots": case.plots, "runs": {}, "failed": [], "verdicts": [], "refused": [], "noise": {"reasons": []}}
    if not noisy_ok and not settle(judge, progress):
        kept["refused"] = ["the machine is too noisy: " + judge.last_words()]
    else:
        runs, failed, kept["noise"] = attempt(case, rounds, progress, judge)
        reasons = kept["noise"]["reasons"]
        if noisy_ok or not reasons:
            kept |= {"runs": runs, "failed": failed}
            middle = results.medians(kept)
            kept["verdicts"] = [check(middle) for check in case.checks]
        else:
            kept["refused"] = [f"the machine was too noisy meanwhile: {why}" for why in reasons]
    progress.skip(case.name)
    return kept
