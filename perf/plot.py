"""Plots, drawn by gnuplot: one picture in SVG for each metric. Without gnuplot there are none.

Figures that are far apart (FAR times) get a logarithmic axis. Bars and points are medians, lines through
them reach from the least run to the most.
"""
import math
import shutil
import subprocess

import results

FAR = 20
COLOURS = {"pirn": "#c2410c", "go": "#0891b2", "tokio": "#7c3aed", "asyncio": "#2563eb",
           "uvloop": "#16a34a", "uvicorn": "#16a34a", "epoll": "#525252", "ring": "#a3a3a3",
           "libuv": "#ca8a04"}
OTHERS = ["#be185d", "#4d7c0f", "#0f766e", "#92400e"]
LOOPS = ("asyncio", "uvloop", "uvicorn", "libuv")
HEAD = """set terminal svg size {width},{height} dynamic font "DejaVu Sans,12" \
background "#ffffff"
set encoding utf8
set border 3 lc rgb "#888888"
set tics nomirror textcolor rgb "#333333"
set grid {grid} lc rgb "#dddddd" lw 0.7
set title {title} textcolor rgb "#111111"
"""


def here():
    return shutil.which("gnuplot") is not None


def drawn(script):
    """The SVG; None if gnuplot did not like the script, which is a mistake in here."""
    done = subprocess.run(["gnuplot"], input=script, capture_output=True, text=True, check=False)
    if done.returncode or "</svg>" not in done.stdout:
        print(f"gnuplot: {done.stderr.strip()}")
        return None
    return done.stdout


def quoted(text):
    return "'" + text.replace("'", "''").replace("_", r"\_") + "'"


def colour(name, spare):
    base = name.split()[0]
    if base not in COLOURS and base not in spare:
        spare[base] = OTHERS[len(spare) % len(OTHERS)]
    return COLOURS.get(base) or spare[base]


def single_loop(name):
    return name.split()[0] in LOOPS or name.endswith(" 1")


def axis(which, log, values):
    """Settings of an axis for these values; None: it is to be seen from the values."""
    values = [v for v in values if v > 0]
    if log is None:
        log = bool(values) and max(values) > FAR * min(values)
    if not log or not values:
        return f"set {which}range [0:*]\nset format {which} '%.6g'\n", False
    low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
    form = "%.0s%c" if low >= 0 else "%g"  # 100k
    return (f"set logscale {which} 10\nset {which}range [1e{low}:1e{max(high, low + 1)}]\n"
            f"set format {which} '{form}'\n", True)


def bars(case, metric):
    """The contenders of one case, the main metric: a bar for each."""
    rows = [(name, s[metric]) for name, s in results.summaries(case).items() if metric in s]
    if not rows:
        return None
    setting, log = axis("x", None, [s.least for _, s in rows] + [s.most for _, s in rows])
    spare, data, names = {}, [], []
    for i, (name, s) in enumerate(rows):
        rgb = int(colour(name, spare)[1:], 16)
        data.append(f"{s.median:g} {i} {s.least:g} {s.most:g} {rgb}")
        names.append(f"{quoted(name)} {i}")
    left = "10.0**floor(log10(%g))" % min(s.least for _, s in rows if s.least > 0) if log else "0"
    return drawn(HEAD.format(width=560, height=90 + 26 * len(rows), grid="x", title=quoted(metric))
                 + setting + f"left = {left}\n"
                 + f"set yrange [{len(rows) - 0.4}:-0.6]\nset ytics ({', '.join(names)})\n"
                 + "unset key\nset style fill solid 0.85 noborder\n"
                 + "$d << EOD\n" + "\n".join(data) + "\nEOD\n"
                 + "plot $d using 1:2:(left):1:($2-0.34):($2+0.34):5 with boxxyerror "
                   "lc rgb variable, "
                   "$d using 1:2:3:4 with xerrorbars lc rgb '#111111' lw 1 pt 7 ps 0.3\n")


def lines(cases, metric):
    """A sweep: the same cases along their axis, a line for each contender; single loops are dashed."""
    series = {}
    for case in cases:
        for name, s in results.summaries(case).items():
            if metric in s:
                series.setdefault(name, []).append((case["x"], s[metric]))
    if not series:
        return None
    values = [v for points in series.values() for _, s in points for v in (s.least, s.most)]
    setting, _ = axis("y", None, values)
    x_setting, _ = axis("x", cases[0]["log"], [case["x"] for case in cases])
    spare, blocks, parts = {}, [], []
    for i, (name, points) in enumerate(series.items()):
        blocks.append(f"$s{i} << EOD\n" + "\n".join(
            f"{x:g} {s.median:g} {s.least:g} {s.most:g}" for x, s in sorted(points)) + "\nEOD\n")
        rgb = colour(name, spare)
        parts.append(f"$s{i} using 1:2:3:4 with yerrorlines lc rgb '{rgb}' lw 2 pt 7 ps 0.5 "
                     f"dt {2 if single_loop(name) else 1} title {quoted(name)}")
    return drawn(HEAD.format(width=560, height=400, grid="x y", title=quoted(metric)) + setting
                 + x_setting + f"set xlabel {quoted(cases[0]['axis'])}\n"
                 + "set key below maxrows 2 samplen 3 width 2\nset bmargin 6\n" + "".join(blocks)
                 + "plot " + ", ".join(parts) + "\n")
