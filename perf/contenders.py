"""Who takes part: builds the peers whose toolchains are here, and runs a command to its numbers.

Everything built lands in PEERS_DIR (BUILD_DIR/perf; BUILD_DIR: build) and is kept for the next time.
"""
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
BUILD = Path(os.environ.get("BUILD_DIR", HERE.parent / "build")).resolve()
OUT = Path(os.environ.get("PEERS_DIR", BUILD / "perf")).resolve()
BENCH = BUILD / "bin" / "bench"
ECHO = BUILD / "bin" / "echo"
SIMULATE = BUILD / "bin" / "simulate"
TOOL_PATH = os.pathsep.join([os.environ.get("PATH", ""), "/usr/local/go/bin",
                             str(Path.home() / ".cargo" / "bin")])
BUILD_SECONDS = int(os.environ.get("PEERS_BUILD_SECONDS", 240))  # longer: left out, its registry is out of reach, say
RUN_SECONDS = 300  # what takes longer hangs
LOOK_SECONDS = 0.05
WRAPPED = ("fio",)  # what runs is a script that starts it


def best_python():
    """PYTHON from the environment; or the distribution's: rows yield and spawn of asyncio were 15% faster
    with it than with one from a plain configure and make."""
    usual = "/usr/bin/python3"
    return os.environ.get("PYTHON") or (usual if os.access(usual, os.X_OK) else sys.executable)


PYTHON = best_python()
VENV = str(OUT / ("venv" + PYTHON.replace("/", "-")) / "bin/python")


def step(*command, cwd=HERE, **more):
    """One build step, its output kept for the curious; says whether it went well."""
    if not shutil.which(command[0], path=TOOL_PATH):
        return False
    env = {**os.environ, "PATH": TOOL_PATH, "CARGO_NET_RETRY": "0", **more}
    with open(OUT / "peers.log", "a", encoding="utf-8") as log:
        print("$", *command, file=log, flush=True)
        try:
            done = subprocess.run(command, env=env, cwd=cwd, stdin=subprocess.DEVNULL, stdout=log,
                                  stderr=log, timeout=BUILD_SECONDS, check=False)
        except subprocess.TimeoutExpired:
            return False
        return done.returncode == 0


def compiled(name, source, *flags, compiler=None):
    target = str(OUT / name)
    return target if step(compiler or os.environ.get("CC", "cc"), "-O2", "-D_GNU_SOURCE",
                          f"-I{HERE.parent}", "-o", target, source, *flags) else None


def epoll():
    return compiled("echo_epoll", "peers/echo_epoll.c", "-pthread")


def ring():
    return compiled("echo_uring", "peers/echo_uring.c", "-luring", "-pthread")


def boost():
    return compiled("boost_switch", "peers/boost_switch.c", "-lboost_context")


def uv():
    return compiled("uv", "peers/uv.c", "-luv", "-pthread")


def tbb():
    return compiled("tbb", "peers/tbb.cc", "-ltbb", compiler=os.environ.get("CXX", "c++"))


def go():
    target = str(OUT / "go-peer")
    return target if step("go", "build", "-o", target, ".", cwd=HERE / "peers/go") else None


def tokio():
    done = step("cargo", "build", "--release", "--locked", cwd=HERE / "peers/tokio",
                CARGO_TARGET_DIR=str(OUT / "tokio"))
    return str(OUT / "tokio/release/peer") if done else None


def loop(python, more=""):
    """The asyncio peer is a script; the bursts of work it does come from a shared library."""
    library = compiled("libwork.so", "bench/work.c", "-shared", "-fPIC")
    return f"{python} {HERE}/peers/loop/main.py", f"lib={library}{more}"


def asyncio():
    return loop(PYTHON) if step(PYTHON, "-c", "import asyncio; asyncio.Runner") else None


def eager():
    return (loop(PYTHON, " eager=1")
            if step(PYTHON, "-c", "import asyncio; asyncio.eager_task_factory") else None)


def python_with(*modules):
    """PYTHON, or one of an environment of its own into which they are put."""
    for python in (PYTHON, VENV):
        if step(python, "-c", f"import {', '.join(modules)}"):
            return python
    step(PYTHON, "-m", "venv", str(Path(VENV).parents[1]))
    return VENV if step(VENV, "-m", "pip", "install", "-q", "--retries", "0", "--timeout", "15",
                        *modules) else None


def uvloop():
    python = python_with("uvloop")
    return python and loop(python, " loop=uvloop")


def uvicorn():
    python = python_with("uvicorn", "uvloop", "httptools")
    return python and f"{python} {HERE}/peers/http_uvicorn.py"


def fio():
    return f"{sys.executable} {HERE}/peers/fio.py" if step("fio", "--version") else None


PEERS = {"epoll": epoll, "ring": ring, "uv": uv, "boost": boost, "tbb": tbb, "go": go,
         "tokio": tokio, "asyncio": asyncio, "eager": eager, "uvloop": uvloop, "uvicorn": uvicorn,
         "fio": fio}


def build(names):
    """The peers of these names that could be built: {name: function of (row, arguments)} which
    gives the command line."""
    OUT.mkdir(parents=True, exist_ok=True)
    ready = {}
    for name in names:
        print(f"   {name:8}", end="", flush=True)
        made = PEERS[name]()
        print("ready" if made else f"not installed (see {OUT}/peers.log)", flush=True)
        if not made:
            continue
        program, tail = made if isinstance(made, tuple) else (made, "")
        if name in ("epoll", "ring", "boost"):  # programs with a single row
            ready[name] = lambda row, more="", program=program: f"{program} {more}".strip()
        else:
            ready[name] = lambda row, more="", program=program, tail=tail: " ".join(
                f"{program} {row} {more} {tail}".split())
    return ready


def look(pid, seen):
    """The most memory a process had until now, and threads."""
    try:
        with open(f"/proc/{pid}/status", encoding="utf-8") as status:
            fields = dict(line.split(":", 1) for line in status)
        now = {"resident_kb": fields["VmHWM"], "threads": fields["Threads"]}
    except (OSError, KeyError):  # it has ended, or is about to
        return
    for key, value in now.items():
        seen[key] = max(seen.get(key, 0), float(value.split()[0]))


def figures(output):
    """Its key=value lines, but for those whose value is a word."""
    for line in output.splitlines():
        key, found, value = line.partition("=")
        try:
            if found:
                yield key, float(value)
        except ValueError:
            pass


def numbers(command, watched=True):
    """Runs a command (a list) and gives its key=value lines as numbers; None if it failed.

    Whoever does not say what memory and how many threads it took is looked at every LOOK_SECONDS; rows
    with a server say them of the server."""
    seen, end, more = {}, time.monotonic() + RUN_SECONDS, None
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True) as process:
        while more is None:
            try:
                more = process.communicate(timeout=LOOK_SECONDS)
            except subprocess.TimeoutExpired:
                if watched:
                    look(process.pid, seen)
                if time.monotonic() > end:
                    process.kill()
        output, errors = more
    if process.returncode:
        why = f"not done after {RUN_SECONDS} s" if time.monotonic() > end else errors
        print(f"\n{' '.join(command)}: status {process.returncode}\n{why}", file=sys.stderr)
        return None
    return seen | dict(figures(output))
