"""Rows mixed and stuck."""
import asyncio
import os
import threading
import time

from common import MESSAGE, load_work, number, out, out_samples


class Probe:
    """The sleeper and the client of perf/bench/probe.c."""

    def __init__(self):
        self.late, self.trip, self.warming_up = [], [], False

    def start(self):
        self.stopped = False
        self.tasks = [asyncio.create_task(self.sleeper()), asyncio.create_task(self.client())]

    async def end(self):
        self.stopped = True
        await asyncio.gather(*self.tasks)

    def add(self, samples, sample):
        if not self.warming_up:
            samples.append(sample)

    async def sleeper(self):
        while not self.stopped:
            until = time.monotonic() + 0.001
            await asyncio.sleep(0.001)
            self.add(self.late, time.monotonic() - until)

    async def client(self):
        reader, writer = await asyncio.open_connection("127.0.0.1", number("echo", 0))
        while not self.stopped:
            begin = time.monotonic()
            writer.write(bytes(MESSAGE))
            await reader.readexactly(MESSAGE)
            self.add(self.trip, time.monotonic() - begin)
            await asyncio.sleep(0.001)
        writer.close()

    def report(self):
        out_samples("lateness", self.late)
        out_samples("trip", self.trip)
        out("threads", threading.active_count())


async def mixed():
    pieces, burst, work = 20, number("burst_iters", 20000000), load_work()
    stop, done = False, 0

    async def hog():
        nonlocal done
        x = 1
        while not stop:
            for _ in range(pieces):
                x = work(x, burst // pieces)
                done += 1
            await asyncio.sleep(0)

    hogs = [asyncio.create_task(hog()) for _ in range(number("hogs", 4))]
    took, count, probe = [0, 0], [0, 0], Probe()
    begin, used = time.monotonic(), time.process_time()
    for i in range(number("stretches", 4)):
        if i % 2:
            probe.start()
        start, before = time.monotonic(), done
        await asyncio.sleep(number("stretch_ms", 2000) / 1000)
        count[i % 2] += done - before
        took[i % 2] += time.monotonic() - start
        if i % 2:
            await probe.end()
    out("cpu", (time.process_time() - used) / (time.monotonic() - begin))
    stop = True
    await asyncio.gather(*hogs)
    alone, beside = count[0] / took[0], count[1] / took[1]
    out("hog_bursts_per_s", beside / pieces)
    out("hogs_share", beside / alone)
    probe.report()


async def stuck():
    span, blocked, probe = number("spin_ms", 2000) / 1000, number("blocked", 2), Probe()
    (reader, writer), work = os.pipe(), load_work()
    probe.warming_up = True
    probe.start()
    await asyncio.sleep(0.2)
    probe.warming_up = False
    begin = time.monotonic()
    releaser = threading.Timer(span, os.write, (writer, bytes(blocked)))
    releaser.start()

    async def spin():
        x, until = 1, time.monotonic() + span
        while time.monotonic() < until:
            x = work(x, 10000)

    async def block():
        os.read(reader, 1)

    tasks = [spin() for _ in range(number("spinners", 2))] + [block() for _ in range(blocked)]
    await asyncio.gather(*tasks)
    await probe.end()
    releaser.join()
    out("stuck_s", time.monotonic() - begin)
    probe.report()
