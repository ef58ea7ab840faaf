"""Sweeps, of which two are where a single loop and M:N part: over the number of connections, and over the
share of CPU-bound work.

connections  an echo server under a closed load: each connection has one message of 64 B under way
cpu_share    a server with small requests, 16 connections with one each 5 ms, beside requests that
             compute. These come at a fixed rate (not back to back), so many that they would keep
             `share` of the machine's cores busy; above 100% no server can answer them all, and a single
             loop cannot above one core. They come on 16 connections for each core, which bounds
             the backlog. heavy_cores is the work that was done, as the cores it needs.

alive        row growth with a point for each number of live coroutines: what an operation costs beside
             them
workers      the simulation (perf/simulate): the scheduler's own code with 1 to 256 workers. It gives the
             same figures each time

The first two have pirn with one worker and asyncio and uvloop (single loops) beside pirn with all, Go and Tokio.
The load is a process of its own on the same cores. A run takes MS and about half a second to begin and
end: three rounds with all contenders make 4 minutes of the first and 6 of the second.
"""
from case import Case
from contenders import BENCH, ECHO, SIMULATE
from machine import WORKERS

CONNECTIONS = (1, 10, 100, 1000, 10000)
SHARES = (0, 40, 80, 100, 120, 160)  # percent of the cores
BURSTS = (1, 20)  # ms
ALIVE = (1000, 10000, 100000, 1000000)
SIMULATED = (1, 2, 4, 8, 16, 32, 64, 128, 256)
HEAVY = 16 * WORKERS
MS = 1000
LATENCIES = [f"latency_{mark}_us" for mark in ("p50", "p99", "p999", "max")]
PEERS = ("asyncio", "uvloop", "go", "tokio")


CONNECTIONS_NOTE = """A closed load: each connection has one message of 64 bytes under way, and sends the next
when it is answered. The load is one thread, on the same cores: with many connections it is what bounds
messages per second on a small machine, and the CPU per message says more."""
SHARE_NOTE = """Small requests on 16 connections, one each 5 ms, beside requests that compute. These come at
a fixed rate, so many that they would keep that part of all cores busy; heavy_cores is what was done of it.
A single loop cannot do more than one core's. Requests on the way in are bounded: 16 for each core. (pirn
with one worker starts spare threads beside long bursts, and so is no single loop then.)"""


WORKERS_NOTE = """No real machine, but the library's scheduler run on a simulated one, with its assumptions in
perf/simulate/assumptions.h: time that workers spend on a task beyond its own work, steals and wake-ups a task. Tasks
that come at random to all workers (70% busy); a tree of forks and joins; pairs that talk; one producer for all."""
LOADS = {"random": "poisson load=70 service_ns=20000", "tree": "tree service_ns=1000", "pairs": "pairs",
         "producer": "producer service_ns=20000"}


def contestants(case, row, own, args):
    """pirn with one worker and with all, and the peers, as servers of the same load."""
    for workers in dict.fromkeys((1, WORKERS)):
        case.own(f"pirn {workers}", "requests", *args, f"server={own}{workers}")
    return case.through(PEERS, "server", row, "requests", *args, more=f"workers={WORKERS}")


def connections(ready):
    for conns in CONNECTIONS:
        case = Case("connections: echo, 64 B, one message under way on each",
                    ["msgs_per_s", "cpu_us_per_msg", *LATENCIES, "server_cpu"], ready)
        case.at("connections", conns, ["msgs_per_s", "latency_p99_us", "cpu_us_per_msg",
                                       "resident_kb"], log=True).say(CONNECTIONS_NOTE)
        yield contestants(case, "echo", f"{ECHO} --port 0 --workers ",
                          [f"conns={conns}", f"ms={MS}"])


def cpu_share(ready):
    for burst in BURSTS:
        for share in SHARES:
            args = ["conns=16", "pace_us=5000", f"ms={MS}"]
            if share:
                pace_us = HEAVY * burst * 1000 * 100 // (share * WORKERS)
                args += [f"heavy={HEAVY}", f"heavy_us={burst * 1000}", f"heavy_pace_us={pace_us}"]
            case = Case(f"cpu_share: small requests beside bursts of {burst} ms",
                        ["latency_p99_us", "msgs_per_s", "heavy_cores", *LATENCIES, "server_cpu"],
                        ready)
            case.at("CPU-bound work asked for, percent of the cores", share,
                    ["latency_p99_us", "msgs_per_s", "heavy_cores"]).say(SHARE_NOTE)
            yield contestants(case, "serve", f"{BENCH} serve workers=", args)


def alive(ready):
    for size in ALIVE:
        metrics = [f"{what}_ns" for what in ("spawn", "yield", "arm", "cancel", "wake")]
        case = Case("alive: an operation beside parked coroutines, ns", metrics, ready)
        yield case.at("parked coroutines", size, metrics, log=True).own("pirn", "growth",
                                                                        f"only={size}")


def workers(ready):
    for count in SIMULATED:
        case = Case("workers: simulated, the scheduler's own queues", ["cost_ns", "steals", "wakes", "failed",
                                                                       "wait_p99_us"], ready)
        case.at("workers", count, ["cost_ns", "steals", "wakes"], log=True).say(WORKERS_NOTE)
        for name, load in LOADS.items():
            case.commands[name] = [str(SIMULATE), *load.split(), f"workers={count}"]
        yield case


SWEEPS = {"connections": connections, "cpu_share": cpu_share, "alive": alive, "workers": workers}
