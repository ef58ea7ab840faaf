"""The test of test_peers.sh."""
import math
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "perf"))

# pylint: disable=wrong-import-position
import contenders
import rows

AT_ONCE = 6  # most of the time is sleep
# How to make a row's work tiny; the last of two equal keys counts.
TINY = {
    "switch": "pairs=100", "yield": "tasks=3 yields=20", "spawn": "count=100 batch=10",
    "skynet": "leaves=100", "fib": "n=8", "pingpong": "trips=50", "pingpong-cross": "trips=50",
    "mpmc": "words=100", "mutex": "tasks=4 rounds=10", "timers": "n=50 seconds=1 lead=3",
    "idle": "n=500 hold=4", "file": "tasks=4 reads=40 mib=1", "http": "conns=2 seconds=1",
    "echo": "conns=2 ms=50", "connections": "conns=2 ms=50", "cpu_share": "conns=2 ms=50", "mixed": "stretches=2 stretch_ms=50",
    "stuck": "spin_ms=50", "wake": "rounds=10", "scaling": "work_us=50 conns=2 ms=50",
    "claims": "second_ms=50", "growth": "alive=100000 rounds=1",
    "workers": "tasks=200",
}


def here(*command):
    """Whether a command is there and does it."""
    if not shutil.which(command[0], path=contenders.TOOL_PATH):
        return False
    environment = {"PATH": contenders.TOOL_PATH, "HOME": str(Path.home()), "CARGO_NET_RETRY": "0"}
    try:
        return subprocess.run(command, env=environment, cwd=contenders.HERE / "peers/tokio", check=False,
                              capture_output=True, timeout=60).returncode == 0
    except subprocess.TimeoutExpired:
        return False


def compiles(language, text, *libraries):
    with tempfile.NamedTemporaryFile("w", suffix=language) as source:
        source.write(text)
        source.flush()
        compiler = "c++" if language == ".cc" else "cc"
        return here(compiler, "-o", "/dev/null", source.name, *libraries)


# Rows that count what came in a stretch of time: so short a one may be over before anything came.
STRETCHES = {"mixed", "stuck", "echo", "requests", "connections", "cpu_share", "scaling", "http"}


def expected():
    """The peers that must build: their toolchains are here, and what they need from elsewhere too."""
    main = "int main(void) { return 0; }"
    asked = {
        "epoll": True, "ring": compiles(".c", "#include <liburing.h>\n" + main, "-luring"),
        "uv": compiles(".c", "#include <uv.h>\n" + main, "-luv"),
        "boost": compiles(".c", main, "-lboost_context"),
        "tbb": compiles(".cc", "#include <oneapi/tbb/task_group.h>\nint main() {}", "-ltbb"),
        "go": here("go", "version"), "tokio": here("cargo", "fetch", "--locked"),
        "asyncio": here(contenders.PYTHON, "-c", "import asyncio; asyncio.Runner"),
        "fio": here("fio", "--version"),
    }
    return [name for name, found in asked.items() if found]


def tiny(row, command):
    """The command with less to do."""
    if command[0] == str(contenders.BENCH) and command[1] in TINY:
        row = command[1]  # row claims has a case of row echo
    more = TINY[row].split()
    if row == "spawn" and "variant=batch" not in command:
        more = ["count=100"]
    if row == "idle" and "variant=connections" in command:
        more = ["conns=4", "settle_ms=1"]
    return [*command, *more]


def run(job):
    row, case, name, command = job
    values, first = contenders.numbers(command), case.metrics[0]
    if values is None:
        wrong = ["failed"]
    elif row in STRETCHES:
        wrong = []
    elif first not in values:
        wrong = [f"says nothing of {first}"]
    else:
        wrong = [] if math.isfinite(values[first]) else [f"{first}={values[first]}"]
    for what in wrong:
        print(f"{case.name}: {name}: {what}\n   {' '.join(command)}", flush=True)
    return row, case, name, values, wrong


def main():
    ready = contenders.build(contenders.PEERS)
    bad = [name for name in expected() if name not in ready]
    for name in bad:
        print(f"{name} is here, but its peer was not built: see {contenders.OUT}/peers.log")
    jobs = []
    for row, function in rows.ROWS.items():
        titles = set()
        for case in function(ready):
            if case.axis is not None and case.title in titles:
                continue  # one point of a sweep is enough
            titles.add(case.title)
            for name, command in case.commands.items():
                jobs.append((row, case, name, tiny(row, command)))
    print(f"{len(jobs)} runs", flush=True)
    figures = {}
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for row, case, name, values, wrong in pool.map(run, jobs):
            bad += wrong
            if values is not None:
                figures.setdefault(id(case), (row, case, {}))[2][name] = values
    all_here = len(ready) == len(contenders.PEERS)
    for row, case, by_name in figures.values():
        for check in case.checks:
            said = check(by_name)
            if ("has none" in said and row not in STRETCHES) or ("nobody" in said and all_here):
                bad.append(said)
                print(f"{case.name}: {said}")
    sys.exit(1 if bad or len(jobs) < 50 else 0)


if __name__ == "__main__":
    main()
