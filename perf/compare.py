"""One row beside its peers: python3 perf/compare.py ROW... [rounds=5]

Runs the contenders of a row in turns, prints the median of each, and what they make of the row's
gates and goals. Build first (sh perf/run.sh, or CMake). The rows are those of ROWS below; `all`
takes every one.
"""
import os
import shlex
import shutil
import statistics
import sys

import contenders
from contenders import BENCH

LOWER = ("ns_", "bytes_", "lateness", "latency", "trip", "cpu_ns", "threads", "mappings")


class Case:
    """Commands by contender, the metrics to show, and what is asked of them."""

    def __init__(self, title, metrics, ready):
        self.title, self.metrics, self.ready = title, metrics, ready
        self.commands, self.checks = {}, []

    def own(self, name, *args):
        self.commands[name] = [str(BENCH), *args]
        return self

    def peers(self, names, row, more=""):
        """Peers that are programs of their own."""
        for name in names:
            if name in self.ready:
                self.commands[name] = shlex.split(self.ready[name](row, more))
        return self

    def through(self, names, how, row, *args, more="", suffix=""):
        """Peers that our bench program starts, as server= or peer=, and watches."""
        for name in names:
            if name in self.ready:
                command = f"{how}={self.ready[name](row, more)}"
                self.commands[name + suffix] = [str(BENCH), *args, command]
        return self

    def factor(self, gate, goal, metric=None, ours="pirn", than=None):
        """At least `gate` times better than that contender, or than the best one."""
        metric = metric or self.metrics[0]
        self.checks.append(lambda medians: factor(medians, metric, ours, than, gate, goal))
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
    return "gate met" if met(gate) else "GATE MISSED"


def factor(medians, metric, ours, than, gate, goal):
    others = {name: m[metric] for name, m in medians.items()
              if metric in m and (name == than if than else not name.startswith("pirn"))}
    if metric not in medians.get(ours, {}):
        return f"{metric}: {ours} has none: GATE MISSED"
    if not others:
        return f"{metric}: nobody to compare with"
    best = (min if lower(metric) else max)(others, key=others.get)
    mine = medians[ours][metric]
    ratio = others[best] / mine if lower(metric) else mine / others[best]
    wanted = f"gate {gate:g}x" + (f", goal {goal:g}x" if goal else "")
    return (f"{metric}: {ours} is {ratio:.2f}x as good as {best} ({wanted}): "
            f"{verdict(ratio, gate, goal, False)}")


def limit(medians, metric, ours, gate, goal):
    if metric not in medians.get(ours, {}):
        return f"{metric}: {ours} has none: GATE MISSED"
    value, low = medians[ours][metric], lower(metric) or metric == "wake_ratio"
    sign = "<=" if low else ">="
    wanted = f"gate {sign} {gate:g}" + (f", goal {sign} {goal:g}" if goal else "")
    return f"{metric}: {ours} has {value:.5g} ({wanted}): {verdict(value, gate, goal, low)}"


# ---- The rows: their cases, with the gates and goals --------------------------------------------

def switch(ready):
    yield (Case("switch: two coroutines, one worker", ["ns_per_op", "cpu_ns_per_op"], ready)
           .own("pirn", "switch").peers(["boost"], "switch")
           .factor(1, 3).factor(1, 3, metric="cpu_ns_per_op"))


def yields(ready):
    for title, more in (("10 tasks on 1 worker", "workers=1"),
                        ("200 tasks on 2 workers", "variant=wide")):
        yield (Case(f"yield: {title}", ["ns_per_op", "cpu_ns_per_op"], ready)
               .own("pirn", "yield", *more.split())
               .peers(["go", "tokio", "asyncio"], "yield", more)
               .factor(4, 10).factor(4, 10, metric="cpu_ns_per_op"))


def spawn(ready):
    for title, more in (("one by one", ""), ("batches of 10,000", "variant=batch")):
        yield (Case(f"spawn: {title}", ["ns_per_op", "cpu_ns_per_op"], ready)
               .own("pirn", "spawn", *more.split())
               .peers(["go", "tokio"], "spawn", more)
               .factor(3, 8).factor(3, 8, metric="cpu_ns_per_op"))


def timers(ready):
    yield (Case("timers: 1,000,000, most cancelled",
                ["ns_per_arm", "ns_per_cancel", "lateness_p50_us", "lateness_p99_us"], ready)
           .own("pirn", "timers").own("pirn malloc", "timers", "variant=malloc")
           .own("pirn call_at", "timers", "variant=call_at").peers(["go", "tokio"], "timers")
           .factor(3, 8).factor(3, 8, metric="ns_per_cancel")
           .limit("lateness_p99_us", 100, None))


def talking(title, row, more, gate, goal, ready):
    case = Case(f"{row}: {title}", ["ns_per_op", "cpu_ns_per_op"], ready)
    return (case.own("pirn", row, *more.split()).peers(["go", "tokio"], row, more)
            .factor(gate, goal).factor(gate, goal, metric="cpu_ns_per_op"))


def skynet(ready):
    yield talking("1,000,000 leaves, 10 children to a node", "skynet", "", 4, 10, ready)


def fib(ready):
    case = Case("fib: fib(30), a spawn and a call to each node", ["ns_per_op", "cpu_ns_per_op"],
                ready)
    yield (case.own("pirn", "fib").peers(["go", "tokio"], "fib")
           .factor(4, None, than="go").factor(4, None, metric="cpu_ns_per_op", than="go"))


def pingpong(ready):
    yield talking("1,000,000 round trips on one worker", "pingpong", "workers=1", 3, 6, ready)


def mpmc(ready):
    for capacity in (0, 1, 64, 1024):
        yield talking(f"4 senders, 4 receivers, capacity {capacity}", "mpmc",
                      f"capacity={capacity}", 1.5, 4, ready)


def mutex(ready):
    yield talking("64 coroutines, 50 ns inside, 50 ns outside", "mutex", "", 2, 4, ready)


def idle(ready):
    for variant in ("sleep", "recv", "unstarted"):
        case = Case(f"idle: 1,000,000 coroutines, {variant}",
                    ["bytes_each", "page_table_bytes_each", "mappings", "parked", "finished"],
                    ready)
        case.own("pirn", "idle", f"variant={variant}")
        if variant == "sleep":
            case.peers(["go", "tokio"], "idle")
        if variant == "unstarted":
            yield case.limit("bytes_each", 300, None)
        else:
            yield case.limit("bytes_each", 4608, 2694).limit("mappings", 100, None)
    yield (Case("idle: 10,000 connections kept open, a request answered on each", ["bytes_each"],
                ready)
           .own("pirn", "idle", "variant=connections")
           .through(["go", "tokio"], "server", "http", "idle", "variant=connections")
           .limit("bytes_each", 6144, None))


def file(ready):
    for title, more in (("in the cache", ""), ("with O_DIRECT, 128 at a time", "variant=direct")):
        case = Case(f"file: random reads of 4 KiB, {title}",
                    ["ns_per_op", "cpu_ns_per_op", "reads_per_s"], ready)
        case.own("pirn", "file", *more.split()).peers(["go", "tokio", "fio"], "file", more)
        case.factor(1, 1.3, than="go").factor(3, 10, than="tokio")
        yield case.factor(0.9, 1, than="fio").factor(1, None, metric="cpu_ns_per_op",
                                                            than="fio")


def http(ready):
    if not shutil.which("wrk"):
        print("\nhttp: wrk, which makes the load, is not installed")
        return
    for depth in (1, 16):
        args = ["http", f"depth={depth}"]
        case = Case(f"http: GET, plain text, 64 connections, {depth} under way on each",
                    ["per_cpu_s", "requests_per_s", "latency_p50_us", "latency_p99_us",
                     "server_cpu"], ready)
        case.own("pirn", *args).through(["epoll"], "server", "http", *args, more="http workers=2")
        case.through(["go", "tokio", "uvicorn"], "server", "http", *args)
        gate, goal, than = (1.1, None, "go") if depth == 1 else (2, 3.5, "tokio")
        for metric in ("per_cpu_s", "requests_per_s"):
            case.factor(gate, goal, metric=metric, than=than)
        if depth == 1:
            case.factor(1, 1.2, than="tokio")
        yield case


def echo(ready):
    for conns in (1, 64, 1000):
        args = ["echo", f"conns={conns}"]
        case = Case(f"echo: {conns} connections of 64 B, one and two workers",
                    ["msgs_per_cpu_s", "msgs_per_s", "latency_p50_us", "latency_p99_us",
                     "server_cpu"], ready)
        for workers in (1, 2):
            case.own(f"pirn {workers}", *args, f"workers={workers}")
            case.through(["epoll", "ring"], "server", "echo", *args, more=f"workers={workers}",
                         suffix=f" {workers}")
        case.through(["go", "tokio", "uvloop", "asyncio"], "server", "echo", *args)
        for workers in (1, 2):
            case.factor(0.95, 1.1, ours=f"pirn {workers}", than=f"epoll {workers}")
        yield case.factor(1.1, 1.4, ours="pirn 2", than="go")


def mixed(ready):
    yield (Case("mixed: a 1 ms sleeper and an echo client beside 4 hogs",
                ["lateness_p50_us", "lateness_p99_us", "lateness_max_us", "trip_p50_us",
                 "trip_p99_us", "hogs_share", "hog_bursts_per_s", "cpu", "threads"], ready)
           .own("pirn", "mixed")
           .through(["go", "tokio", "asyncio"], "peer", "mixed", "mixed")
           .factor(10, None, metric="lateness_p99_us", than="go")
           .limit("lateness_p99_us", 250, None).limit("hogs_share", 0.95, None))


def stuck(ready):
    for title, most, args in (("2 spin and 2 are blocked for 2 s", 11, []),
                              ("40 spin for 300 ms", 9,
                               ["spinners=40", "blocked=0", "spin_ms=300"])):
        yield (Case(f"stuck: {title}",
                    ["lateness_p50_us", "lateness_p99_us", "lateness_max_us", "trip_p99_us",
                     "trip_max_us", "stuck_s", "threads"], ready)
               .own("pirn", "stuck", *args)
               .through(["go", "tokio", "asyncio"], "peer", "stuck", "stuck", *args)
               .limit("lateness_p99_us", 10000, 1000).limit("lateness_max_us", 50000, None)
               .limit("trip_p99_us", 10000, 1000).limit("threads", most, None))


def wake(ready):
    yield (Case("wake: from a plain thread, beside a bare futex",
                ["wake_ratio", "wake_p50_us", "raw_p50_us", "wake_p99_us", "raw_p99_us"], ready)
           .own("pirn", "wake").limit("wake_ratio", 1.3, 1.05))


def scaling(ready):
    args = ["scaling", "rounds=1"]
    yield (Case("scaling: one worker and two, 0.5 ms of work a request",
                ["w2_per_s", "w1_per_s", "ratio", "threads_ratio"], ready)
           .own("pirn", *args)
           .through(["go", "tokio", "uvloop", "asyncio"], "server", "serve", *args)
           .factor(1, None).limit("ratio", 1.8, 1.95))


ROWS = {"switch": switch, "yield": yields, "spawn": spawn, "skynet": skynet, "fib": fib,
        "pingpong": pingpong, "mpmc": mpmc, "mutex": mutex, "timers": timers, "idle": idle, "file": file,
        "http": http, "echo": echo, "mixed": mixed, "stuck": stuck, "wake": wake, "scaling": scaling}


# ---- Running them -------------------------------------------------------------------------------

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
