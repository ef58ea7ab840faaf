"""Makes the table and the page of what showcase.py measured:  report.py showcase.json page.html

The page is one file that needs nothing from elsewhere; its plots are SVG in the text. A plotting
library was rejected: the plots are bars, and a fresh machine should need nothing but python3.
"""
import html
import json
import math
import statistics
import sys
from collections import namedtuple
from pathlib import Path

import machine

# By key: the name, {n} being the number of workers; in two groups.
GROUPS = {
    "one loop": {"asyncio": "asyncio", "uvloop": "uvloop", "pirn-1": "pirn, 1 worker"},
    "all cores": {"go": "Go", "tokio": "Tokio", "pirn-n": "pirn, {n} workers"},
}
Metric = namedtuple("Metric", "key column unit show more_is_better log plot")
Workload = namedtuple("Workload", "short title text metrics")


def count(value):
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def milliseconds(us):
    return f"{us / 1000:,.0f}" if us >= 100000 else f"{us / 1000:.3g}"


WORKLOADS = {
    "echo": Workload(
        "echo", "Echo over TCP",
        "64 connections, each with one message of 64 bytes under way. The load is a process of its "
        "own on the same cores: CPU that a server does not need is there for the load.",
        [Metric("msgs_per_s", "messages", "/s", count, True, False, "Messages per second"),
         Metric("msgs_per_cpu_s", "messages", "/CPU-s", count, True, False,
                "Messages per second of the server's CPU"),
         Metric("latency_p50_us", "p50", "ms", milliseconds, False, True, None),
         Metric("latency_p99_us", "p99", "ms", milliseconds, False, True, None)]),
    "cpu": Workload(
        "CPU", "CPU-bound",
        "Tasks compute in bursts of a fraction of a millisecond and let the others run in between; "
        "there is no I/O. Each burst is the same work for everybody: asyncio and uvloop call it "
        "in C, so that the loops are compared and not the interpreter.",
        [Metric("bursts_per_s", "bursts", "/s", count, True, False, "Bursts per second"),
         Metric("cpu_s", "CPU used", "s", count, False, False,
                "Seconds of CPU used for all of it")]),
    "mixed": Workload(
        "CPU + I/O", "CPU and I/O mixed",
        "One server gets small requests on 16 connections, each every 5 ms, and heavy ones of "
        "20 ms of CPU, back to back on two connections for each core. What becomes of the small "
        "ones while the heavy ones compute? (pirn with one worker starts spare threads here, as a "
        "stuck worker's requests are served by others.)",
        [Metric("latency_p99_us", "small p99", "ms", milliseconds, False, True,
                "Small requests: p99 of the time to answer, ms"),
         Metric("heavy_per_s", "heavy", "/s", count, True, False, "Heavy requests per second"),
         Metric("latency_p50_us", "small p50", "ms", milliseconds, False, True, None),
         Metric("msgs_per_s", "small", "/s", count, True, False, None)]),
}


NOISY = "The machine was noisy: {}"


def name_of(key, workers):
    return {k: v for group in GROUPS.values() for k, v in group.items()}[key].format(n=workers)


def cells(results, load, key):
    """What a contender's row shows, or one cell saying why there is nothing."""
    runs = results["runs"][load].get(key)
    if not runs:
        return ["not installed" if key not in results["about"]["ready"] else "failed"]
    return [metric.show(statistics.median(run[metric.key] for run in runs))
            for metric in WORKLOADS[load].metrics]


def table(results):
    about, lines = results["about"], []
    for load, workload in WORKLOADS.items():
        columns = [f"{m.column} {m.unit}" for m in workload.metrics]
        lines.append(f"{workload.title:20}" + "".join(f"{c:>18}" for c in columns))
        for group, keys in GROUPS.items():
            lines.append(f"  {group}")
            for key in keys:
                shown = "".join(f"{c:>18}" for c in cells(results, load, key))
                lines.append(f"    {name_of(key, about['workers']):16}{shown}")
        lines.append("")
    lines.append(f"Medians of {about['rounds']} rounds, contenders in turns.")
    return "\n".join(lines + [NOISY.format(why) for why in results["noise"]])


# ---- Plots --------------------------------------------------------------------------------------

WIDTH, LEFT, RIGHT, ROW, GAP, TOP = 560, 128, 84, 26, 22, 8


def ceiling(value):
    """The next round number."""
    power = 10 ** math.floor(math.log10(value))
    return next(step * power for step in (1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10)
                if step * power >= value)


class Scale:
    def __init__(self, values, log):
        self.log = log
        if log:
            self.low = 10 ** math.floor(math.log10(min(values)) - 0.01)
            self.high = 10 ** math.ceil(math.log10(max(values)))
            steps = round(math.log10(self.high / self.low))
            self.ticks = [self.low * 10 ** i for i in range(steps + 1)]
        else:
            self.low, self.high = 0, ceiling(max(values))
            self.ticks = [self.high * i / 4 for i in range(5)]

    def x(self, value):
        if self.log:
            part = math.log(value / self.low) / math.log(self.high / self.low)
        else:
            part = value / self.high
        return LEFT + part * (WIDTH - LEFT - RIGHT)


def text(x, y, words, kind, anchor="start"):
    return (f'<text x="{x:.1f}" y="{y:.1f}" class="{kind}" text-anchor="{anchor}">'
            f"{html.escape(words)}</text>")


def plot(results, load, metric):
    """Bars of the medians, one dot for each round."""
    about, runs = results["about"], results["runs"][load]
    values = {key: [run[metric.key] for run in runs[key]] for key in runs}
    scale = Scale([v for each in values.values() for v in each], metric.log)
    out, y = [], TOP
    for group, keys in GROUPS.items():
        out.append(text(0, y + 12, group, "group"))
        y += GAP
        for key in keys:
            ours = "ours" if key.startswith("pirn") else "theirs"
            name = name_of(key, about["workers"])
            out.append(text(LEFT - 10, y + 17, name, f"name {ours}", "end"))
            if key not in values:
                out.append(text(LEFT + 4, y + 17, cells(results, load, key)[0], "none"))
            else:
                median = statistics.median(values[key])
                end = scale.x(median)
                out.append(f'<rect x="{LEFT}" y="{y + 4}" width="{max(end - LEFT, 1):.1f}" '
                           f'height="{ROW - 8}" rx="3" class="bar {ours}"/>')
                out += [f'<circle cx="{scale.x(v):.1f}" cy="{y + ROW / 2}" r="2.4" class="dot"/>'
                        for v in values[key]]
                beside = max(end, scale.x(max(values[key]))) + 8
                out.append(text(beside, y + 17, metric.show(median), f"value {ours}"))
            y += ROW
    grid = "".join(f'<line x1="{scale.x(t):.1f}" x2="{scale.x(t):.1f}" y1="{TOP}" y2="{y + 2}" '
                   f'class="grid"/>' + text(scale.x(t), y + 16, metric.show(t), "tick", "middle")
                   for t in scale.ticks)
    better = "more is better" if metric.more_is_better else "less is better"
    better += ", logarithmic" if metric.log else ""
    title = f"<figcaption>{html.escape(metric.plot)} <span>{better}</span></figcaption>"
    return (f'<figure>{title}<svg viewBox="0 0 {WIDTH} {y + 22}" role="img" '
            f'aria-label="{html.escape(metric.plot)}">{grid}{"".join(out)}</svg></figure>')


# ---- The page -----------------------------------------------------------------------------------

STYLE = """
:root { color-scheme: light dark; --back: #f6f5f2; --card: #fff; --ink: #1d2329; --soft: #69727b;
  --line: #e4e2dc; --ours: #c2410c; --theirs: #9aa7b4; }
@media (prefers-color-scheme: dark) { :root { --back: #14171a; --card: #1c2126; --ink: #e8eaec;
  --soft: #98a2ac; --line: #30373e; --ours: #fb923c; --theirs: #5d6b78; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--back); color: var(--ink);
  font: 16px/1.5 system-ui, "Segoe UI", "DejaVu Sans", sans-serif; }
main { max-width: 1180px; margin: 0 auto; padding: 40px 20px 60px; }
h1 { font-size: 30px; line-height: 1.2; margin: 0 0 6px; letter-spacing: -.01em; }
h2 { font-size: 20px; margin: 0 0 4px; }
p { margin: 0; max-width: 54em; color: var(--soft); }
section { background: var(--card); border: 1px solid var(--line); border-radius: 12px;
  padding: 24px 26px; margin-top: 22px; }
.plots { display: grid; grid-template-columns: repeat(2, minmax(0, 1fr)); gap: 14px 34px;
  margin: 18px 0 12px; }
@media (max-width: 820px) { .plots { grid-template-columns: minmax(0, 1fr); } }
figure { margin: 0; } svg { width: 100%; height: auto; display: block; }
figcaption { font-weight: 600; font-size: 15px; margin-bottom: 4px; }
figcaption span { display: block; font-weight: 400; color: var(--soft); font-size: 13px; }
svg text { font-size: 13px; fill: var(--ink); }
svg .group { fill: var(--soft); font-size: 12px; } svg .tick, svg .none { fill: var(--soft);
  font-size: 11.5px; } svg .none { font-style: italic; }
svg text.ours, td.ours { font-weight: 650; } svg .value { font-variant-numeric: tabular-nums; }
.bar.ours { fill: var(--ours); } .bar.theirs { fill: var(--theirs); }
.dot { fill: var(--card); stroke: var(--ink); stroke-width: 1; opacity: .75; }
.grid { stroke: var(--line); stroke-width: 1; }
.wide { overflow-x: auto; } table { border-collapse: collapse; font-size: 14px; min-width: 55%;
  font-variant-numeric: tabular-nums; }
th, td { text-align: right; padding: 5px 0 5px 34px; border-top: 1px solid var(--line);
  white-space: nowrap; }
thead th { border: 0; font-weight: 500; color: var(--soft); }
th:first-child, td:first-child { text-align: left; padding-left: 0; } .none { color: var(--soft); }
footer { color: var(--soft); font-size: 14px; margin-top: 22px; }
footer p { max-width: 62em; margin-bottom: 8px; }
"""


def html_table(results, load):
    metrics = WORKLOADS[load].metrics
    head = "".join(f"<th>{html.escape(m.column)} {html.escape(m.unit)}</th>" for m in metrics)
    rows = ""
    for key in (key for keys in GROUPS.values() for key in keys):
        shown = cells(results, load, key)
        data = ("".join(f"<td>{cell}</td>" for cell in shown) if len(shown) == len(metrics)
                and key in results["runs"][load] else
                f'<td class="none" colspan="{len(metrics)}">{shown[0]}</td>')
        ours = "ours" if key.startswith("pirn") else ""
        rows += (f'<tr><td class="{ours}">{html.escape(name_of(key, results["about"]["workers"]))}'
                 f"</td>{data}</tr>")
    return (f'<div class="wide"><table><thead><tr><th></th>{head}</tr></thead>'
            f"<tbody>{rows}</tbody></table></div>")


def page(results):
    about, sections = results["about"], ""
    for load, workload in WORKLOADS.items():
        plots = "".join(plot(results, load, m) for m in workload.metrics if m.plot)
        sections += (f"<section><h2>{workload.title}</h2><p>{workload.text}</p>"
                     f'<div class="plots">{plots}</div>{html_table(results, load)}</section>')
    noisy = html.escape("".join(NOISY.format(why) + ". " for why in results["noise"]))
    here = html.escape(machine.sentence(about))
    versions = html.escape("; ".join(f"{what} {v}" for what, v in about["versions"].items()))
    return f"""<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>pirn: one loop, or all cores</title>
<meta name="viewport" content="width=device-width, initial-scale=1"><style>{STYLE}</style></head>
<body><main><h1>One loop, or all cores</h1>
<p>pirn with one worker and with {about['workers']}, beside single event loops and other runtimes
that use all cores.</p>
{sections}
<footer><p>Bars are medians of {about['rounds']} rounds, dots the rounds. The contenders took turns,
in another order each round, on a {here}. {noisy}The latency of a request is taken from the moment it was
sent until its whole answer was there.</p><p>{versions}.</p></footer></main></body></html>
"""


if __name__ == "__main__":
    measured = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    Path(sys.argv[2]).write_text(page(measured), encoding="utf-8")
    print(table(measured))
