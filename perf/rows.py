"""The rows: their cases, with the gates (the least worth having) and goals.

A row is a function of the peers that are here (contenders.build), which gives its cases; ROWS has them
by name.
"""
import shutil

from case import Case
from sweeps import LATENCIES, SWEEPS


def switch(ready):
    yield (Case("switch: two coroutines, one worker", ["ns_per_op", "cpu_ns_per_op"], ready)
           .own("pirn", "switch").peers(["boost"], "switch")
           .factor(1, 3).factor(1, 3, metric="cpu_ns_per_op"))


def yields(ready):
    for title, more in (("10 tasks on 1 worker", "workers=1"),
                        ("200 tasks on 2 workers", "variant=wide")):
        yield (Case(f"yield: {title}", ["ns_per_op", "cpu_ns_per_op"], ready)
               .own("pirn", "yield", *more.split())
               .peers(["go", "tokio", "asyncio", "uvloop"], "yield", more)
               .factor(4, 10).factor(4, 10, metric="cpu_ns_per_op"))


def spawn(ready):
    for title, more in (("one by one", ""), ("batches of 10,000", "variant=batch")):
        yield (Case(f"spawn: {title}", ["ns_per_op", "cpu_ns_per_op"], ready)
               .own("pirn", "spawn", *more.split())
               .peers(["go", "tokio", "asyncio", "eager", "uvloop"], "spawn", more)
               .factor(3, 8).factor(3, 8, metric="cpu_ns_per_op"))


def timers(ready):
    """Tokio's queue is held against us apart: its timers belong to one task, and no other can cancel one."""
    alone = ["tokio queue"]
    case = Case("timers: 1,000,000, most cancelled",
                ["ns_per_arm", "ns_per_cancel", "lateness_p50_us", "lateness_p99_us"], ready)
    case.own("pirn", "timers").own("pirn malloc", "timers", "variant=malloc")
    case.own("pirn call_at", "timers", "variant=call_at")
    case.peers(["go", "tokio", "uv", "asyncio", "uvloop"], "timers")
    case.peers(["tokio"], "timers", "variant=queue", suffix=" queue")
    for metric in ("ns_per_arm", "ns_per_cancel"):
        case.factor(3, 8, metric=metric, but=alone)
        case.factor(None, 1, metric=metric, than=alone[0])
    yield case.limit("lateness_p99_us", None, 100)


def talking(title, row, more, gate, goal, ready):
    case = Case(f"{row}: {title}", ["ns_per_op", "cpu_ns_per_op"], ready)
    return (case.own("pirn", row, *more.split()).peers(["go", "tokio", "asyncio"], row, more)
            .factor(gate, goal).factor(gate, goal, metric="cpu_ns_per_op"))


def skynet(ready):
    yield talking("1,000,000 leaves, 10 children to a node", "skynet", "", 4, 10, ready)


def fib(ready):
    case = Case("fib: fib(30), a spawn and a call to each node", ["ns_per_op", "cpu_ns_per_op"],
                ready)
    yield (case.own("pirn", "fib").peers(["go", "tokio", "tbb", "asyncio"], "fib")
           .factor(4, None, than="go").factor(4, None, metric="cpu_ns_per_op", than="go")
           .limit("ns_per_op", None, 30).factor(None, 1, than="tbb"))


def pingpong(ready):
    yield talking("1,000,000 round trips on one worker", "pingpong", "workers=1", 3, 6, ready)


def pingpong_cross(ready):
    """futex and spin are floors: two plain threads without channels, asleep in between or never."""
    case = Case("pingpong-cross: the ends on threads of their own", ["ns_per_op", "cpu_ns_per_op"],
                ready)
    case.own("pirn", "pingpong-cross").peers(["go", "tokio"], "pingpong-cross")
    case.own("futex", "pingpong-cross", "variant=futex")
    case.own("spin", "pingpong-cross", "variant=spin")
    case.factor(2, 10, than="go").factor(2, 10, metric="cpu_ns_per_op", than="go")
    yield case.factor(None, 1, than="tokio").factor(None, 1, than="futex")


def mpmc(ready):
    for capacity in (0, 1, 64, 1024):
        yield talking(f"4 senders, 4 receivers, capacity {capacity}", "mpmc",
                      f"capacity={capacity}", 1.5, 4, ready)


def mutex(ready):
    """With std and pthread a thread that waits for the mutex is blocked, with every task it would run."""
    blocking = ["tokio std"]
    case = Case("mutex: 64 coroutines, 50 ns inside, 50 ns outside", ["ns_per_op", "cpu_ns_per_op"],
                ready)
    case.own("pirn", "mutex").own("pirn pthread", "mutex", "variant=pthread")
    case.peers(["go", "tokio", "asyncio"], "mutex").peers(["tokio"], "mutex", "how=std", " std")
    for metric in ("ns_per_op", "cpu_ns_per_op"):
        case.factor(2, 4, metric=metric, but=blocking)
        case.factor(None, 1, metric=metric, ours="pirn pthread", than=blocking[0])
    yield case


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
        if not more:
            case.own("bare", "file", "variant=bare")
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
                    ["per_cpu_s", "requests_per_s", "cpu_us_per_msg", *LATENCIES, "server_cpu"],
                    ready)
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
                    ["msgs_per_cpu_s", "msgs_per_s", "cpu_us_per_msg", *LATENCIES, "server_cpu"],
                    ready)
        for workers in (1, 2):
            case.own(f"pirn {workers}", *args, f"workers={workers}")
            case.through(["epoll", "ring", "uv"], "server", "echo", *args,
                         more=f"workers={workers}", suffix=f" {workers}")
        case.through(["go", "tokio", "uvloop", "asyncio"], "server", "echo", *args)
        for workers in (1, 2):
            case.factor(0.95, 1.1, ours=f"pirn {workers}", than=f"epoll {workers}")
        yield case.factor(1.1, 1.4, ours="pirn 2", than="go")


def mixed(ready):
    yield (Case("mixed: a 1 ms sleeper and an echo client beside 4 hogs",
                ["lateness_p50_us", "lateness_p99_us", "lateness_p999_us", "lateness_max_us",
                 "trip_p50_us", "trip_p99_us", "hogs_share", "hog_bursts_per_s", "cpu", "threads"],
                ready)
           .own("pirn", "mixed")
           .through(["go", "tokio", "asyncio"], "peer", "mixed", "mixed")
           .factor(10, None, metric="lateness_p99_us", than="go")
           .limit("lateness_p99_us", None, 250).limit("hogs_share", None, 0.95))


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


# What the tutorials print, and the most it may be: perf/bench/claims.c. Of the pool's ratio a half is the floor.
CLAIMS = {"took_s183_ten_sleeps": (1.1, 1.039), "took_s184_in_line": (5.1, 5.0045),
          "took_s184_forgotten": (0.05, 0.0036), "took_s185_longest": (3.1, 3.002),
          "took_s186_stored": (5.1, 5.0052), "took_s186_at_once": (10.2, 10.0101),
          "took_s187_worst_block": (2.05, 2.0015), "took_s188_ratio": (0.6, None),
          "took_s189_streams": (0.2, 0.0975)}


def claims(ready):
    case = Case("claims: what the tutorials measured, in seconds",
                ["took_s188_pool", "took_s188_in_line", *CLAIMS], ready)
    case.own("pirn", "claims").through(["asyncio", "uvloop"], "peer", "claims", "claims")
    for metric, (gate, goal) in CLAIMS.items():
        case.limit(metric, gate, goal)
    yield case
    args = ["echo", "conns=64"]
    case = Case("claims: S14, S175, S190: the same echo load on asyncio, uvloop, Go and pirn",
                ["msgs_per_s", "msgs_per_cpu_s", *LATENCIES, "server_cpu"], ready)
    case.through(["asyncio", "uvloop"], "server", "echo", *args)
    for workers in (1, 2):
        more = f"workers={workers}"
        case.own(f"pirn {workers}", *args, more)
        case.through(["go"], "server", "echo", *args, more=more, suffix=f" {workers}")
    for metric in ("msgs_per_s", "msgs_per_cpu_s"):
        case.factor(1, None, metric=metric, ours="pirn 1", than="uvloop")
        case.factor(0.8, 1, metric=metric, ours="pirn 1", than="go 1")
        case.factor(0.8, 1, metric=metric, ours="pirn 2", than="go 2")
    yield case


def growth(ready):
    ratios = [f"{what}_growth" for what in ("spawn", "yield", "arm", "cancel", "wake")]
    case = Case("growth: beside 1,000, 100,000 and 1,000,000 parked coroutines", ratios, ready)
    case.own("pirn", "growth")
    for ratio in ratios:
        case.limit(ratio, 2, None)
    yield case


ROWS = {"switch": switch, "yield": yields, "spawn": spawn, "skynet": skynet, "fib": fib,
        "pingpong": pingpong, "pingpong-cross": pingpong_cross, "mpmc": mpmc, "mutex": mutex,
        "timers": timers, "idle": idle, "file": file, "http": http, "echo": echo, "mixed": mixed,
        "stuck": stuck, "wake": wake, "scaling": scaling, "claims": claims,
        "growth": growth, **SWEEPS}
