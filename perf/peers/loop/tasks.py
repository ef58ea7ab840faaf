"""Rows of tasks and what they wait for: yield, spawn, cpu, skynet, fib, pingpong, mpmc, mutex, timers.

Smaller counts than elsewhere, as an operation takes microseconds. A queue without capacity does not exist
(maxsize=0 is one without bounds), so the rows that ask for one have one place.
"""
import asyncio
import time

from common import PerOp, args, load_work, number, out, out_samples


async def yields():
    wide = args.get("variant") == "wide"
    tasks, count = number("tasks", 200 if wide else 10), number("yields", 10000 if wide else 100000)

    async def run():
        for _ in range(count):
            await asyncio.sleep(0)

    with PerOp(tasks * count):
        await asyncio.gather(*(run() for _ in range(tasks)))


async def spawn():
    count = number("count", 100000)
    batch = number("batch", 10000 if args.get("variant") == "batch" else 1)

    async def nothing():
        pass

    with PerOp(count // batch * batch):
        for _ in range(count // batch):
            for task in [asyncio.create_task(nothing()) for _ in range(batch)]:
                await task


async def cpu():
    tasks, bursts = number("tasks", 100), number("bursts", 20)
    iterations, work = number("burst_iters", 250000), load_work()

    async def run():
        x = 1
        for _ in range(bursts):
            x = work(x, iterations)
            await asyncio.sleep(0)

    begin, used = time.monotonic(), time.process_time()
    await asyncio.gather(*(run() for _ in range(tasks)))
    wall = time.monotonic() - begin
    out("bursts_per_s", tasks * bursts / wall)
    out("cpu_s", time.process_time() - used)
    out("wall_s", wall)


async def fib_of(n):
    if n < 2:
        return n
    first = asyncio.create_task(fib_of(n - 1))
    second = await fib_of(n - 2)
    return await first + second


async def fib():
    n, a, b = number("n", 21), 0, 1
    for _ in range(n):
        a, b = b, a + b
    with PerOp(b - 1):
        result = await fib_of(n)
    assert result == a


async def node(up, first, leaves):
    total = first
    if leaves > 1:
        results, each = asyncio.Queue(1), leaves // 10
        children = [asyncio.create_task(node(results, first + i * each, each)) for i in range(10)]
        total = sum([await results.get() for _ in children])
    await up.put(total)


async def skynet():
    leaves, result = number("leaves", 10000), asyncio.Queue(1)
    with PerOp(leaves):
        await node(result, 0, leaves)
        total = await result.get()
    assert total == leaves * (leaves - 1) // 2


async def pingpong():
    trips, ball, there, back = number("trips", 50000), 0, asyncio.Queue(1), asyncio.Queue(1)

    async def pong():
        while True:
            await back.put(await there.get() + 1)

    other = asyncio.create_task(pong())
    with PerOp(trips):
        for _ in range(trips):
            await there.put(ball)
            ball = await back.get()
    other.cancel()
    assert ball == trips


async def mpmc():
    words, senders, receivers = number("words", 100000), number("senders", 4), number("receivers", 4)
    queue = asyncio.Queue(max(1, number("capacity", 0)))

    async def send(first):
        for word in range(first, words, senders):
            await queue.put(word)

    async def receive():
        total = count = 0
        while (word := await queue.get()) is not None:
            total += word
            count += 1
        return total, count

    with PerOp(words):
        receiving = [asyncio.create_task(receive()) for _ in range(receivers)]
        await asyncio.gather(*(send(first) for first in range(senders)))
        for _ in receiving:
            await queue.put(None)
        got = await asyncio.gather(*receiving)
    assert sum(count for _, count in got) == words
    assert sum(total for total, _ in got) == words * (words - 1) // 2


async def mutex():
    """The work is a call of C each, which takes longer than the 50 ns inside."""
    tasks, rounds, lock, work = number("tasks", 64), number("rounds", 1000), asyncio.Lock(), load_work()
    inside, outside = number("inside", 32), number("outside", 32)
    mixed, count = 0, 0

    async def run():
        nonlocal mixed, count
        own = 1
        for _ in range(rounds):
            async with lock:
                mixed = work(mixed, inside)
                count += 1
            own = work(own, outside)

    with PerOp(tasks * rounds):
        await asyncio.gather(*(run() for _ in range(tasks)))
    assert count == tasks * rounds


async def timers():
    """loop.call_at and its handle's cancel. The loop's clock is the monotonic one; uvloop's is a millisecond old."""
    n, span, loop = number("n", 200000), number("seconds", 10), asyncio.get_running_loop()
    late, begin, used = [], time.monotonic(), time.process_time()
    first = begin + number("lead", 4)

    def fire(until):
        late.append(max(0.0, time.monotonic() - until))

    handles = []
    for i in range(n):
        until = first + span * (i * 7919 % n) / n
        handles.append(loop.call_at(until, fire, until))
    armed, armed_cpu = time.monotonic(), time.process_time()
    for i, handle in enumerate(handles):
        if i % 10:
            handle.cancel()
    ended, ended_cpu = time.monotonic(), time.process_time()
    kept = (n + 9) // 10
    assert ended < first
    await asyncio.sleep(first + span + 0.2 - time.monotonic())
    assert len(late) == kept
    out("ns_per_arm", (armed - begin) * 1e9 / n)
    out("ns_per_cancel", (ended - armed) * 1e9 / (n - kept))
    out("cpu_ns_per_arm", (armed_cpu - used) * 1e9 / n)
    out("cpu_ns_per_cancel", (ended_cpu - armed_cpu) * 1e9 / (n - kept))
    out_samples("lateness", late)
