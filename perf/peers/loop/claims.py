"""Row claims: the tutorials' programs as they stand there, but for what Python has dropped since (a loop got
by get_event_loop, coroutines handed to wait). perf/bench/claims.c tells each; each is a process of its own."""
import asyncio
import os
import socket
import sys
import time
import warnings
from concurrent.futures import ThreadPoolExecutor

from common import args, number

SECOND = number("second_ms", 1000) / 1000
REQUEST = b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"


def say(key, value):
    """In one piece: others write to the same pipe."""
    os.write(1, f"took_{key}={value:.4f}\n".encode())


def took(key, begin, end=None):
    say(key, ((end or time.monotonic()) - begin) / SECOND)


def timed(key, run, *programs):
    begin = time.monotonic()
    run(*programs)
    took(key, begin)


def sleep(seconds):
    return asyncio.sleep(seconds * SECOND)


def once(new_loop, program):
    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(program())


def ten_sleeps(new_loop):
    async def main():
        await asyncio.gather(*(sleep(1) for _ in range(10)))
    timed("s183_ten_sleeps", once, new_loop, main)


def in_line(new_loop):
    async def main():
        for _ in range(5):
            await sleep(1)
    timed("s184_in_line", once, new_loop, main)


def forgotten(new_loop):
    async def main():
        sleep(1)  # that is the point

    def five_runs():
        for _ in range(5):
            once(new_loop, main)

    warnings.simplefilter("ignore", RuntimeWarning)
    timed("s184_forgotten", five_runs)


def longest(new_loop):
    async def main():
        await asyncio.wait([asyncio.create_task(sleep(seconds)) for seconds in (1, 2, 3)])
    timed("s185_longest", once, new_loop, main)


def five_times(new_loop, program):
    with asyncio.Runner(loop_factory=new_loop) as runner:
        for _ in range(5):
            runner.run(program())


def stored(new_loop):
    async def main():
        first, second = asyncio.ensure_future(sleep(1)), asyncio.ensure_future(sleep(1))
        await first
        await second
    timed("s186_stored", five_times, new_loop, main)


def at_once(new_loop):
    async def main():
        await asyncio.ensure_future(sleep(1))
        await asyncio.ensure_future(sleep(1))
    timed("s186_at_once", five_times, new_loop, main)


async def one_task():
    await asyncio.create_task(sleep(2))


async def two_tasks():
    await asyncio.wait([asyncio.create_task(sleep(2)) for _ in range(2)])


async def gather_of_four():
    await asyncio.gather(*(sleep(2) for _ in range(4)))


async def gather_of_gathers():
    groups = [asyncio.gather(sleep(2), sleep(2)) for _ in range(2)]
    await asyncio.gather(*groups)


async def with_callback():
    called, task = asyncio.Event(), asyncio.create_task(sleep(2))
    task.add_done_callback(lambda _: called.set())
    await task
    await called.wait()


async def chain():
    await one_task()


def worst_block(new_loop):
    worst = 0
    for program in (one_task, two_tasks, gather_of_four, gather_of_gathers, with_callback, chain):
        begin = time.monotonic()
        once(new_loop, program)
        worst = max(worst, time.monotonic() - begin)
    took("s187_worst_block", 0, worst)


def fetch_blocking():
    with socket.create_connection(("127.0.0.1", number("site", 0))) as client:
        client.sendall(REQUEST)
        data = b""
        while got := client.recv(1024):
            data += got
    assert data.endswith(b"\r\n\r\n<page>")


def pool(new_loop):
    async def main():
        loop = asyncio.get_running_loop()
        with ThreadPoolExecutor(2) as threads:
            await asyncio.gather(*(loop.run_in_executor(threads, fetch_blocking)
                                   for _ in range(10)))

    begin = time.monotonic()
    once(new_loop, main)
    middle = time.monotonic()
    for _ in range(10):
        fetch_blocking()
    end = time.monotonic()
    took("s188_pool", begin, middle)
    took("s188_in_line", middle, end)
    say("s188_ratio", (middle - begin) / (end - middle))


async def fetch():
    reader, writer = await asyncio.open_connection("127.0.0.1", number("site", 0))
    writer.write(REQUEST)
    lines = [line async for line in reader]
    assert lines[-1] == b"<page>"
    writer.close()


def streams(new_loop):
    async def main():
        await asyncio.gather(*(fetch() for _ in range(20)))
    timed("s189_streams", once, new_loop, main)


CLAIMS = (ten_sleeps, in_line, forgotten, longest, stored, at_once, worst_block, pool, streams)


def run(new_loop):
    children = []
    for claim in CLAIMS:
        if args.get("claim", claim.__name__) != claim.__name__:
            continue
        child = os.fork()
        if child == 0:
            claim(new_loop)
            os._exit(0)
        children.append(child)
    if any(os.waitpid(child, 0)[1] for child in children) or not children:
        sys.exit("a claim has failed")
