"""What the rows for asyncio share: arguments, output, the work kernel."""
import ctypes
import sys
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


class PerOp:
    """with PerOp(operations): what is timed."""

    def __init__(self, ops):
        self.ops = ops

    def __enter__(self):
        self.begin, self.used = time.monotonic(), time.process_time()

    def __exit__(self, *_):
        out("ns_per_op", (time.monotonic() - self.begin) * 1e9 / self.ops)
        out("cpu_ns_per_op", (time.process_time() - self.used) * 1e9 / self.ops)
