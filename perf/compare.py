"""One row beside its peers: python3 perf/compare.py ROW... [rounds=5]

Runs the contenders of a row in turns, prints the median of each, and what they make of the row's
gates and goals. Build first (sh perf/run.sh, or CMake). The rows are those of rows.py; `all`
takes every one.
"""
import os
import statistics
import sys

import contenders
from contenders import BENCH
from rows import ROWS


def measure(case, rounds):
    """Medians by contender and metric; whoever fails once is out."""
    results, out = {name: [] for name in case.commands}, set()
    for number in range(rounds):
        names = list(case.commands)
        turn = number % len(names)
        for name in names[turn:] + names[:turn]:
            print(f"\r   round {number + 1}/{rounds}  {name:12}", end="", file=sys.stderr)
            values = None if name in out else contenders.numbers(case.commands[name])
            if values is None:
                out.add(name)
            else:
                results[name].append(values)
    print("\r" + " " * 40 + "\r", end="", file=sys.stderr)
    return {name: {key: statistics.median(run[key] for run in runs if key in run)
                   for key in runs[0]}
            for name, runs in results.items() if runs and name not in out}


def show(case, medians):
    print(f"\n{case.title}")
    print(" " * 14 + "".join(f"{metric:>20}" for metric in case.metrics))
    for name in case.commands:
        cells = medians.get(name)
        row = "failed" if cells is None else "".join(
            f"{cells[m]:>20,.6g}" if m in cells else f"{'-':>20}" for m in case.metrics)
        print(f"  {name:12}{row}")
    for check in case.checks:
        print("  " + check(medians))


def main():
    rows = [arg for arg in sys.argv[1:] if "=" not in arg]
    options = dict(arg.split("=", 1) for arg in sys.argv[1:] if "=" in arg)
    if rows == ["all"]:
        rows = list(ROWS)
    if not rows or set(rows) - set(ROWS) or set(options) - {"rounds"}:
        sys.exit(f"usage: compare.py ROW... [rounds=5]\nrows: {' '.join(ROWS)} all")
    if not os.access(BENCH, os.X_OK):
        sys.exit(f"{BENCH} is missing: build first")
    ready = contenders.build(contenders.PEERS)
    for row in rows:
        for case in ROWS[row](ready):
            show(case, measure(case, int(options.get("rounds", 5))))
            sys.stdout.flush()


main()
