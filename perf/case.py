"""A case: contenders that do the same work, the figures to show of them, and what is asked of ours.
"""
import shlex

from contenders import BENCH

LOWER = ("ns_", "bytes_", "lateness", "latency", "trip", "cpu_ns",
         "cpu_us", "threads", "mappings", "resident", "took_")


class Case:
    """Commands by contender, the metrics to show, and what is asked of them."""

    def __init__(self, title, metrics, ready):
        self.title, self.metrics, self.ready = title, metrics, ready
        self.commands, self.checks = {}, []
        self.axis, self.x, self.log, self.plots = None, None, False, metrics[:1]
        self.note = ""

    @property
    def name(self):
        return self.title if self.axis is None else f"{self.title}; {self.axis}: {self.x:g}"

    def at(self, axis, x, plots, log=False):
        """A point of a sweep: cases of the same title make a plot of each of these metrics, a line for
        each contender."""
        self.axis, self.x, self.plots, self.log = axis, x, plots, log
        return self

    def say(self, note):
        """What the page says of the work, under the title."""
        self.note = note
        return self

    def own(self, name, *args):
        self.commands[name] = [str(BENCH), *args]
        return self

    def peers(self, names, row, more="", suffix=""):
        """Peers that are programs of their own."""
        for name in names:
            if name in self.ready:
                self.commands[name + suffix] = shlex.split(self.ready[name](row, more))
        return self

    def through(self, names, how, row, *args, more="", suffix=""):
        """Peers that our bench program starts, as server= or peer=, and watches."""
        for name in names:
            if name in self.ready:
                command = f"{how}={self.ready[name](row, more)}"
                self.commands[name + suffix] = [str(BENCH), *args, command]
        return self

    def factor(self, gate, goal, metric=None, ours="pirn", than=None, but=()):
        """At least `gate` times better than that contender, or than the best one (but those). A gate
        or a goal that is None is not asked for."""
        metric = metric or self.metrics[0]
        self.checks.append(lambda medians: factor(
            {name: m for name, m in medians.items() if name not in but},
            metric, ours, than, gate, goal))
        return self

    def limit(self, metric, gate, goal, ours="pirn"):
        """A figure within these limits, whoever the peers are."""
        self.checks.append(lambda medians: limit(medians, metric, ours, gate, goal))
        return self


def lower(metric):
    return metric.startswith(LOWER)


def verdict(value, gate, goal, low):
    def met(bound):
        return value <= bound if low else value >= bound
    if goal is not None and met(goal):
        return "goal met"
    if gate is None:
        return "goal missed"
    return "gate met" if met(gate) else "GATE MISSED"


def asked(gate, goal, sign="", unit=""):
    return ", ".join(f"{what} {sign}{bound:g}{unit}" for what, bound in (("gate", gate), ("goal", goal))
                     if bound is not None)


def factor(medians, metric, ours, than, gate, goal):
    others = {name: m[metric] for name, m in medians.items()
              if metric in m and (name == than if than else not name.startswith("pirn"))}
    if metric not in medians.get(ours, {}):
        return f"{metric}: {ours} has none: GATE MISSED"
    if not others:
        return f"{metric}: nobody to compare with"
    best = (min if lower(metric) else max)(others, key=others.get)
    mine = medians[ours][metric]
    if not mine or not others[best]:  # in a run of next to nothing
        return f"{metric}: {ours} has {mine:g} and {best} {others[best]:g}: nothing to compare"
    ratio = others[best] / mine if lower(metric) else mine / others[best]
    return (f"{metric}: {ours} is {ratio:.2f}x as good as {best} ({asked(gate, goal, unit='x')}): "
            f"{verdict(ratio, gate, goal, False)}")


def limit(medians, metric, ours, gate, goal):
    if metric not in medians.get(ours, {}):
        return f"{metric}: {ours} has none: GATE MISSED"
    value, low = medians[ours][metric], lower(metric) or metric.endswith(("wake_ratio", "_growth"))
    wanted = asked(gate, goal, "<= " if low else ">= ")
    return f"{metric}: {ours} has {value:.5g} ({wanted}): {verdict(value, gate, goal, low)}"
