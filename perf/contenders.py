"""Who takes part: builds the peers whose toolchains are here, and runs a command to its numbers.

Everything built lands in BUILD_DIR/perf (BUILD_DIR: build) and is kept for the next time.
"""
import os
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
BUILD = Path(os.environ.get("BUILD_DIR", HERE.parent / "build")).resolve()
OUT = BUILD / "perf"
BENCH = BUILD / "bin" / "bench"
ECHO = BUILD / "bin" / "echo"
TOOL_PATH = os.pathsep.join([os.environ.get("PATH", ""), "/usr/local/go/bin",
                             str(Path.home() / ".cargo" / "bin")])
BUILD_SECONDS = 240  # a peer that takes longer is left out: a registry out of reach, say
RUN_SECONDS = 120


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


def compiled(name, source, *flags):
    target = str(OUT / name)
    return target if step(os.environ.get("CC", "cc"), "-O2", "-D_GNU_SOURCE", f"-I{HERE.parent}",
                          "-o", target, source, *flags) else None


def epoll():
    return compiled("echo_epoll", "peers/echo_epoll.c", "-pthread")


def ring():
    return compiled("echo_uring", "peers/echo_uring.c", "-luring", "-pthread")


def boost():
    return compiled("boost_switch", "peers/boost_switch.c", "-lboost_context")


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
    return f"{python} {HERE}/peers/loop.py", f"lib={library}{more}"


def asyncio():
    return loop(sys.executable)


def uvloop():
    if step(sys.executable, "-c", "import uvloop"):
        return loop(sys.executable, " loop=uvloop")
    python = str(OUT / "venv/bin/python")
    if not step(python, "-c", "import uvloop"):
        step(sys.executable, "-m", "venv", str(OUT / "venv"))
        if not step(python, "-m", "pip", "install", "-q", "--retries", "0", "--timeout", "15",
                    "uvloop"):
            return None
    return loop(python, " loop=uvloop")


def uvicorn():
    python = str(OUT / "venv/bin/python")
    if not step(python, "-c", "import uvicorn, uvloop, httptools"):
        step(sys.executable, "-m", "venv", str(OUT / "venv"))
        if not step(python, "-m", "pip", "install", "-q", "--retries", "0", "--timeout", "15",
                    "uvicorn", "uvloop", "httptools"):
            return None
    return f"{python} {HERE}/peers/http_uvicorn.py"


def fio():
    return f"{sys.executable} {HERE}/peers/fio.py" if step("fio", "--version") else None


PEERS = {"epoll": epoll, "ring": ring, "boost": boost, "go": go, "tokio": tokio,
         "asyncio": asyncio, "uvloop": uvloop, "uvicorn": uvicorn, "fio": fio}


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


def numbers(command):
    """Runs a command (a list) and gives its key=value lines as numbers; None if it failed."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=RUN_SECONDS,
                              check=False)
    except subprocess.TimeoutExpired:
        print(f"\n{' '.join(command)}: still running after {RUN_SECONDS} s", file=sys.stderr)
        return None
    if done.returncode:
        print(f"\n{' '.join(command)}: status {done.returncode}\n{done.stderr}", file=sys.stderr)
        return None
    pairs = (line.split("=", 1) for line in done.stdout.splitlines() if "=" in line)
    return {key: float(value) for key, value in pairs}
