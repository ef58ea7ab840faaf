"""The rows for asyncio: main.py ROW [key=value ...], printing key=value lines as bench does.

Each row does the exact work of the file of its name in perf/bench, in the form of asyncio's documentation:
create_task and gather, asyncio.Queue and Lock, loop.call_at, protocols. There is one thread and one loop,
whatever workers= says.

  loop=uvloop  uvloop's event loop
  eager=1      tasks begin where they are created (asyncio.eager_task_factory, Python 3.12)
  lib=PATH     perf/bench/work.c as a shared library: bursts of work run at C's speed, so that the loops are
               compared and not the interpreter
"""
import asyncio
import signal
import sys

import claims
import net
import stuck
import tasks
from common import args, number

if args.get("loop") == "uvloop":
    import uvloop  # here, so that no row times it

ROWS = {"yield": tasks.yields, "spawn": tasks.spawn, "cpu": tasks.cpu, "fib": tasks.fib,
        "skynet": tasks.skynet, "pingpong": tasks.pingpong, "mpmc": tasks.mpmc, "mutex": tasks.mutex,
        "timers": tasks.timers, "echo": net.echo, "serve": net.serve, "mixed": stuck.mixed,
        "stuck": stuck.stuck}


def new_loop():
    if args.get("loop") == "uvloop":
        loop = uvloop.new_event_loop()
    else:
        loop = asyncio.new_event_loop()
    if number("eager", 0):
        loop.set_task_factory(asyncio.eager_task_factory)
    return loop


def main():
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # a server ends without a traceback
    if sys.argv[1] == "claims":
        claims.run(new_loop)
        return
    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(ROWS[sys.argv[1]]())


main()
