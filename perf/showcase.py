"""A single loop against M:N on three workloads; started by run.sh, which builds first.

The contenders take turns, in another order each round. Rounds go on until there are five, or until
the time is up (LIMIT seconds after run.sh began), but there are two in any case. A machine that is too
noisy for the record (noise.py) is used all the same: the table and the page say that it was. What was
measured lands in BUILD_DIR/perf/showcase.json; report.py makes the table and the page of it.
"""
import json
import os
import shlex
import sys
import time

import contenders
import machine
import noise
import report
from contenders import BENCH, ECHO, OUT
from machine import WORKERS

LIMIT = 140
MOST_ROUNDS, LEAST_ROUNDS = 5, 2


def commands(ready):
    """{workload: {contender: command}}; a contender is a key of report.CONTENDERS."""
    size = f"tasks={100 * max(1, WORKERS // 4)} bursts=20 burst_iters=250000"
    echo, serve, cpu = {}, {}, {}
    for key, workers in (("pirn-1", 1), ("pirn-n", WORKERS)):
        echo[key] = f"{ECHO} --port 0 --workers {workers}"
        serve[key] = f"{BENCH} serve workers={workers}"
        cpu[key] = f"{BENCH} cpu workers={workers} {size}"
    more = f"workers={WORKERS}"
    for key in ready:
        echo[key], serve[key] = ready[key]("echo", more), ready[key]("serve", more)
        cpu[key] = ready[key]("cpu", f"{more} {size}")
    heavy = f"heavy={2 * WORKERS} heavy_us=20000 conns=16 pace_us=5000 ms=1500"
    return {
        "echo": {key: [str(BENCH), "requests", "conns=64", "ms=1000", f"server={server}"]
                 for key, server in echo.items()},
        "cpu": {key: shlex.split(command) for key, command in cpu.items()},
        "mixed": {key: [str(BENCH), "requests", *heavy.split(), f"server={server}"]
                  for key, server in serve.items()},
    }


def one_round(number, work, runs):
    for load, contestants in work.items():
        names = list(contestants)
        turn = number % len(names)
        for name in names[turn:] + names[:turn]:
            title = report.name_of(name, WORKERS)
            print(f"   round {number + 1}  {report.WORKLOADS[load].short:12} {title:16}", end="",
                  flush=True)
            values = contenders.numbers(contestants[name])
            if values is None:
                if name.startswith("pirn"):
                    sys.exit("pirn has failed: the comparison ends here")
                print("failed")
                continue
            runs[load].setdefault(name, []).append(values)
            main = report.WORKLOADS[load].metrics[0]
            print(f" {main.column} {main.show(values[main.key])} {main.unit}", flush=True)


def main():
    begin = float(os.environ.get("PIRN_BEGIN", time.time()))
    print("== peers", flush=True)
    ready = contenders.build(["asyncio", "uvloop", "go", "tokio"])
    work = commands(ready)
    runs = {load: {} for load in work}
    print("== measuring", flush=True)
    number, longest, watch = 0, 0.0, noise.Watch(noise.Judge())
    while number < MOST_ROUNDS:
        start = time.time()
        if number >= LEAST_ROUNDS and start + longest - begin > LIMIT:
            break
        watch.probe()
        one_round(number, work, runs)
        longest = max(longest, time.time() - start)
        number += 1
    results = {"about": machine.about() | {"rounds": number, "ready": list(work["cpu"])},
               "noise": watch.end()["reasons"], "runs": runs}
    (OUT / "showcase.json").write_text(json.dumps(results, indent=1), encoding="utf-8")
    page = OUT / "report.html"
    page.write_text(report.page(results), encoding="utf-8")
    print("\n" + report.table(results))
    print(f"\nThe page with the plots: file://{page}")
    print(f"All of it took {time.time() - begin:.0f} s.")


main()
