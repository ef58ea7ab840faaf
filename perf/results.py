"""What is kept of a comparison, and the table and the CSV file made of it.

A record is a dictionary that JSON can hold: `about` (machine.py), `noisy` (whether a noisy machine was
allowed), `bounds` (noise.py), and `cases`, each with

    row, title, note   as in rows.py; `name` is the title with the place on the axis
    axis, x, log       where it is in a sweep (None: it stands for itself)
    metrics, plots     what the table shows; what is drawn
    runs               by contender, in the order of the row: a list of {metric: value}, one for each run
    failed             contenders that did not get through
    verdicts           what the gates and goals say
    noise              what the machine was like (noise.py)
    refused            why there is no comparison: nothing if there is one
"""
import csv
import statistics
from collections import namedtuple

Summary = namedtuple("Summary", "runs median low high least most")
ALWAYS = ("resident_kb", "threads")


def summary(values):
    """Quartiles as Python's `inclusive` method has them: of few runs, none lies outside of them all."""
    if len(values) == 1:
        return Summary(1, *values * 5)
    low, _, high = statistics.quantiles(values, method="inclusive")
    return Summary(len(values), statistics.median(values), low, high, min(values), max(values))


def summaries(case):
    """{contender: {metric: Summary}}; a metric that a run lacks (no sample, say) is of the others."""
    return {name: {metric: summary([run[metric] for run in runs if metric in run])
                   for metric in dict.fromkeys(key for run in runs for key in run)}
            for name, runs in case["runs"].items() if runs}


def medians(case):
    return {name: {metric: s.median for metric, s in metrics.items()}
            for name, metrics in summaries(case).items()}


def number(value):
    if value and abs(value) < 1:
        return f"{value:.3g}"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:,.4g}"


def shown(case):
    """The metrics of a case's table: its own, and what everybody takes."""
    have = {metric for each in summaries(case).values() for metric in each}
    return [m for m in dict.fromkeys([*case["metrics"], *ALWAYS]) if m in have]


def cells(case):
    """Rows of a table as text: the contender, then for each metric of shown() the median; after the first
    one stands the least and the most."""
    for name, metrics in summaries(case).items():
        row = [name]
        for i, metric in enumerate(shown(case)):
            s = metrics.get(metric)
            row.append(number(s.median) if s else "-")
            if i == 0:
                row.append(f"{number(s.least)} .. {number(s.most)}" if s else "-")
        yield row


def table(case):
    lines = [case["name"]]
    if case["refused"]:
        return "\n".join(lines + [f"  NOT COMPARED: {why}" for why in case["refused"]])
    metrics = shown(case)
    head = ["", *metrics[:1], "least .. most", *metrics[1:]] if metrics else [""]
    rows = [head, *cells(case)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(head))]
    for row in rows:
        lines.append("  " + row[0].ljust(widths[0]) +
                     "".join("  " + cell.rjust(width) for cell, width in zip(row[1:], widths[1:])))
    lines += [f"  {name} failed" for name in case["failed"]]
    lines += [f"  {verdict}" for verdict in case["verdicts"]]
    if case["noise"]["reasons"]:
        lines.append(f"  ON A NOISY MACHINE: {'; '.join(case['noise']['reasons'])}")
    return "\n".join(lines)


COLUMNS = ("row", "case", "axis", "x", "contender", "metric", "runs", "median", "lower_quartile",
           "upper_quartile", "least", "most", "noisy", "values")


def write_csv(record, file):
    """A line for each contender, case and metric; `values` has all runs, in their order."""
    out = csv.writer(file)
    out.writerow(COLUMNS)
    for case in record["cases"]:
        noisy = "yes" if case["noise"]["reasons"] else "no"
        for name, metrics in summaries(case).items():
            for metric, s in metrics.items():
                values = " ".join(f"{run[metric]:g}" for run in case["runs"][name] if metric in run)
                out.writerow([case["row"], case["title"], case["axis"] or "",
                              "" if case["x"] is None else f"{case['x']:g}", name, metric, s.runs,
                              *(f"{v:.6g}" for v in s[1:]), noisy, values])
