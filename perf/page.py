"""The page of a record: one file that needs nothing from elsewhere; the plots are inside.

    python3 perf/page.py record.json page.html
"""
import base64
import html
import itertools
import json
import sys
from pathlib import Path

import machine
import plot
import report
import results

STYLE = report.STYLE + """
img { width: 100%; height: auto; display: block; border-radius: 8px; background: #fff; }
table { font-size: 13px; } th, td { padding-left: 18px; }
h3 { font-size: 15px; margin: 18px 0 6px; }
ul { margin: 8px 0; padding-left: 20px; font-size: 14px; }
.missed, .refused { color: var(--ours); font-weight: 600; }
.warning { border-color: var(--ours); }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 2px 18px; margin: 10px 0; }
dt { color: var(--soft); } dd { margin: 0; }
"""


def picture(svg, words):
    """As a picture of its own: the names that gnuplot gives to things are the same in each."""
    if svg is None:
        return ""
    data = base64.b64encode(svg.encode()).decode()
    return (f'<figure><img alt="{html.escape(words)}" '
            f'src="data:image/svg+xml;base64,{data}"></figure>')


def table(case):
    metrics = results.shown(case)
    if not metrics:
        return ""
    names = [metrics[0], "least .. most", *metrics[1:]]
    head = "".join(f"<th>{html.escape(name)}</th>" for name in names)
    rows = ""
    for name, *row in results.cells(case):
        ours = ' class="ours"' if name.startswith("pirn") else ""
        rows += (f"<tr><td{ours}>{html.escape(name)}</td>"
                 + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>")
    return (f'<div class="wide"><table><thead><tr><th></th>{head}</tr></thead>'
            f"<tbody>{rows}</tbody></table></div>")


def remarks(case):
    """Who failed, what the gates say, and what is wrong with the machine."""
    lines = [("refused", f"Not compared: {why}") for why in case["refused"]]
    lines += [("missed", f"{name} failed") for name in case["failed"]]
    lines += [("missed" if "MISSED" in verdict else "", verdict) for verdict in case["verdicts"]]
    lines += [("missed", f"On a noisy machine: {why}") for why in case["noise"]["reasons"]
              if not case["refused"]]
    items = "".join(f'<li class="{kind}">{html.escape(text)}</li>' for kind, text in lines)
    return f"<ul>{items}</ul>" if items else ""


def section(cases, plots):
    """One case, or all points of a sweep."""
    first, drawn = cases[0], ""
    for metric in first["plots"] if plots else ():
        svg = plot.bars(first, metric) if first["axis"] is None else plot.lines(cases, metric)
        drawn += picture(svg, f"{first['title']}: {metric}")
    body = "".join((f"<h3>{html.escape(case['axis'])}: {case['x']:g}</h3>" if case["axis"] else "")
                   + table(case) + remarks(case) for case in cases)
    return (f"<section><h2>{html.escape(first['title'])}</h2><p>{html.escape(first['note'])}</p>"
            + (f'<div class="plots">{drawn}</div>' if drawn else "") + body + "</section>")


def noise_words(record):
    """What is said of the machine's quiet, and whether it is a warning."""
    cases, bounds = record["cases"], record["bounds"]
    noisy = sum(bool(case["noise"]["reasons"]) and not case["refused"] for case in cases)
    refused = sum(bool(case["refused"]) for case in cases)
    text = (f"While a case was measured, the same piece of work took at most {bounds['slow']:.0%} longer "
            f"than at best (median of probes between the rounds; {bounds['bursts']:.0%} for their upper "
            f"quartile), the host took at most {bounds['steal']:.0%} of the CPUs' time, and other programs "
            f"{bounds['others']:.0%}.")
    if refused:
        text += f" {refused} of {len(cases)} cases were beyond that and are not compared."
    if record["noisy"]:
        text = (f"This record was made with noisy=ok: {noisy} of {len(cases)} cases were measured on a "
                "machine too noisy to compare on, and say so. Do not quote them.")
    return text, bool(record["noisy"] and noisy)


def page(record, plots):
    about = record["about"]
    groups = itertools.groupby(record["cases"], key=lambda case: (case["row"], case["title"]))
    sections = "".join(section(list(cases), plots) for _, cases in groups)
    words, warning = noise_words(record)
    versions = "".join(f"<dt>{html.escape(what)}</dt><dd>{html.escape(text)}</dd>"
                       for what, text in about["versions"].items())
    absent = ", ".join(about["absent"]) or "nobody"
    no_plots = "" if plots else "<p>There are no plots, as gnuplot was not there.</p>"
    return f"""<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>pirn beside its peers</title>
<meta name="viewport" content="width=device-width, initial-scale=1"><style>{STYLE}</style></head>
<body><main><h1>pirn beside its peers</h1>
<p>Medians; the contenders took turns, run by run. In the tables, times are in the unit that a figure's
name ends in; in plots, the thin lines reach from the least run to the most, and single loops are
dashed. Servers were under the same load, from a process of its own on the same CPUs.</p>
{no_plots}<section{' class="warning"' if warning else ''}><h2>The machine</h2>
<p>{html.escape(machine.sentence(about))}.</p>
<p class="{'missed' if warning else ''}">{html.escape(words)}</p>
<dl>{versions}<dt>not installed</dt><dd>{html.escape(absent)}</dd></dl></section>
{sections}
</main></body></html>
"""


if __name__ == "__main__":
    measured = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    Path(sys.argv[2]).write_text(page(measured, plot.here()), encoding="utf-8")
