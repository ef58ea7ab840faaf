"""The rows for asyncio: loop.py ROW [key=value ...], printing key=value lines as bench does.

Each row does the exact work of the file of its name in perf/bench. loop=uvloop takes uvloop's event
loop, lib=PATH is perf/bench/work.c as a shared library: bursts of work run at C's speed, so that
the loops are compared and not the interpreter. There is one thread and one loop, whatever workers=
says.
"""
import asyncio
import ctypes
import os
import signal
import sys
import threading
import time

MESSAGE = 64
args = dict(arg.split("=", 1) for arg in sys.argv[2:])


def number(key, fallback):
    return int(args.get(key, fallback))


def out(key, value):
    print(f"{key}={value:.3f}", flush=True)


def out_samples(name, samples):
    samples.sort()
    marks = (("p50", 500), ("p99", 990), ("p999", 999), ("max", 1000))
    for key, per_mille in marks if samples else ():
        out(f"{name}_{key}_us", samples[(len(samples) * per_mille + 999) // 1000 - 1] * 1e6)
    out(f"{name}_samples", len(samples))


def load_work():
    function = ctypes.PyDLL(args["lib"]).bench_work  # holds the interpreter's lock: no thread helps
    function.argtypes = (ctypes.c_uint64, ctypes.c_uint64)
    function.restype = ctypes.c_uint64
    return function


def out_per_op(begin, used, ops):
    out("ns_per_op", (time.monotonic() - begin) * 1e9 / ops)
    out("cpu_ns_per_op", (time.process_time() - used) * 1e9 / ops)


async def yields():
    wide = args.get("variant") == "wide"
    tasks, count = number("tasks", 200 if wide else 10), number("yields", 10000 if wide else 100000)

    async def run():
        for _ in range(count):
            await asyncio.sleep(0)

    begin, used = time.monotonic(), time.process_time()
    await asyncio.gather(*(run() for _ in range(tasks)))
    out_per_op(begin, used, tasks * count)


async def spawn():
    count = number("count", 100000)
    batch = number("batch", 10000 if args.get("variant") == "batch" else 1)

    async def nothing():
        pass

    begin, used = time.monotonic(), time.process_time()
    for _ in range(count // batch):
        for task in [asyncio.create_task(nothing()) for _ in range(batch)]:
            await task
    out_per_op(begin, used, count // batch * batch)


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


class Echo(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.transport.write(data)


class Serve(Echo):
    """A request says how much to work before it is sent back."""

    work = None
    have = b""

    def data_received(self, data):
        self.have += data
        while len(self.have) >= MESSAGE:
            message, self.have = self.have[:MESSAGE], self.have[MESSAGE:]
            x = Serve.work(1, int.from_bytes(message[:4], "little"))
            self.transport.write(message[:5] + bytes([x & 255]) + message[6:])


async def listen(protocol):
    server = await asyncio.get_running_loop().create_server(protocol, "127.0.0.1", 0, backlog=1024)
    print(f"listening on 127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    await server.serve_forever()


async def echo():
    await listen(Echo)


async def serve():
    Serve.work = load_work()
    await listen(Serve)


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


def main():
    rows = {"yield": yields, "spawn": spawn, "cpu": cpu, "echo": echo, "serve": serve,
            "mixed": mixed, "stuck": stuck}
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # a server ends without a traceback
    if args.get("loop") == "uvloop":
        import uvloop
        asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
    asyncio.run(rows[sys.argv[1]]())


main()
