"""The record: rows beside their peers. Started by run.sh, which builds first.

    sh perf/run.sh ROW... [rounds=5] [noisy=ok]     the rows are those of rows.py; `all` takes every one

For each case of a row: runs the contenders in turns (measure.py), prints medians, and what they make of
the row's gates and goals. BUILD_DIR/perf/record.json, .csv and .html have all of it, and are written
anew after each case. Sweeps make SWEEP_ROUNDS unless rounds= is given. A machine that is too noisy is
not compared on (noise.py): what was refused is taken once more when the rest is done, and if it is refused
again the status is 3; noisy=ok compares all the same, and marks what it says.
"""
import json
import os
import sys
import time

import contenders
import machine
import measure
import noise
import page
import plot
import progress
import results
from contenders import BENCH, OUT
from rows import ROWS

ROUNDS, SWEEP_ROUNDS = 5, 3
GIVE_UP = 6  # cases refused in a row
USAGE = f"""usage: sh perf/run.sh ROW... [rounds={ROUNDS}] [noisy=ok]
rows: {' '.join(ROWS)} all"""


def arguments(words):
    words = ["noisy=ok" if word == "--noisy" else word for word in words]
    rows = [word for word in words if "=" not in word]
    options = dict(word.split("=", 1) for word in words if "=" in word)
    if rows == ["all"]:
        rows = list(ROWS)
    rounds = options.get("rounds", "1")
    if (not rows or set(rows) - set(ROWS) or set(options) - {"rounds", "noisy"}
            or options.get("noisy", "ok") != "ok" or not rounds.isdigit() or int(rounds) < 1):
        sys.exit(USAGE)
    return rows, "rounds" in options and int(rounds), "noisy" in options


def write(record, plots):
    for name, text in (("record.json", json.dumps(record, indent=1)),
                       ("record.html", page.page(record, plots))):
        (OUT / name).write_text(text, encoding="utf-8")
    with open(OUT / "record.csv", "w", encoding="utf-8", newline="") as file:
        results.write_csv(record, file)


def take(cases, record, measured):
    """Fills record["cases"]; those that were refused get a second turn after the rest."""
    in_a_row, again = 0, []

    def shown(row, case, times):
        kept = measured(row, case, times)
        print("\n" + results.table(kept), flush=True)
        return kept

    for at, (row, case, times) in enumerate(cases):
        kept = shown(row, case, times)
        record["cases"].append(kept)
        write(record, False)
        if not kept["refused"]:
            in_a_row = 0
            continue
        again.append((at, row, case, times))
        in_a_row += 1
        if in_a_row == GIVE_UP:
            print(f"\n{GIVE_UP} cases in a row could not be compared: the rest is left out.")
            return
    for at, row, case, times in again:
        record["cases"][at] = shown(row, case, times)
        write(record, False)


def main():
    rows, rounds, noisy_ok = arguments(sys.argv[1:])
    if not os.access(BENCH, os.X_OK):
        sys.exit(f"{BENCH} is missing: build first")
    begin = time.time()
    print("== peers", flush=True)
    ready = contenders.build(contenders.PEERS)
    absent = [name for name in contenders.PEERS if name not in ready]
    about = machine.about() | {"absent": absent}
    print(f"== {machine.sentence(about)}")
    for what, version in about["versions"].items():
        print(f"   {what:9} {version}")
    cases = [(row, case, rounds or (SWEEP_ROUNDS if case.axis else ROUNDS))
             for row in rows for case in ROWS[row](ready)]
    plots = plot.here()
    if not plots:
        print("   There will be no plots, as gnuplot is not here (Debian: gnuplot-nox).")
    record = {"about": about, "noisy": noisy_ok, "bounds": noise.BOUNDS, "cases": []}
    runs = [run for _, case, times in cases for run in measure.plan([case], times)]
    ahead = progress.Progress(runs, OUT / "durations.json")
    print(f"== measuring: {len(cases)} cases, {len(runs)} runs, about "
          f"{progress.words(ahead.seconds_left())}", flush=True)
    judge = noise.Judge()

    def measured(row, case, times):
        kept = measure.measure(row, case, times, ahead, judge, noisy_ok)
        ahead.clear()
        return kept
    take(cases, record, measured)
    ahead.close()
    write(record, plots)
    print(f"\nThe page{' with the plots' if plots else ''}: file://{OUT}/record.html"
          f"\nBeside it: record.csv, record.json. All of it took {time.time() - begin:.0f} s.")
    refused = sum(bool(kept["refused"]) for kept in record["cases"])
    if refused:
        print(f"The machine was too noisy for {refused} of {len(record['cases'])} cases: they are "
              "not compared (noisy=ok does it all the same, and marks it).")
        sys.exit(3)


if __name__ == "__main__":
    main()
