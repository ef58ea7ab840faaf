"""The machine and the versions of everything that takes part in a comparison."""
import os
import platform
import re
import shutil
import subprocess
import time
from pathlib import Path

import contenders

WORKERS = len(os.sched_getaffinity(0))


def first_line(*command):
    """Of what it prints; None if there is no such program, or it prints nothing."""
    env = {**os.environ, "PATH": contenders.TOOL_PATH}
    try:
        done = subprocess.run(command, capture_output=True, text=True, env=env, check=False,
                              cwd=contenders.HERE)
        return done.stdout.splitlines()[0].strip()
    except (OSError, IndexError):
        return None


def text_of(path):
    try:
        return Path(path).read_text(encoding="utf-8")
    except OSError:
        return ""


def found(pattern, text):
    match = re.search(pattern, text, re.MULTILINE)
    return match.group(1).strip() if match else None


def cpu_name():
    return found(r"^model name\s*:(.*)$", text_of("/proc/cpuinfo")) or platform.machine()


def memory_gib():
    return int(found(r"^MemTotal:\s*(\d+)", text_of("/proc/meminfo"))) / 2 ** 20


def ours():
    cache = text_of(contenders.BUILD / "CMakeCache.txt")
    commit = first_line("git", "describe", "--always", "--dirty")
    return (found(r"^CMAKE_PROJECT_VERSION:\w+=(.*)$", cache) or "?") + (
        f" ({commit})" if commit else "")


def compiler():
    cache = text_of(contenders.BUILD / "CMakeCache.txt")
    path = found(r"^CMAKE_C_COMPILER:\w+=(.*)$", cache)
    flags = " ".join(found(rf"^{key}:\w+=(.*)$", cache) or "" for key in
                     ("CMAKE_C_FLAGS", "CMAKE_C_FLAGS_" + (
                         found(r"^CMAKE_BUILD_TYPE:\w+=(.*)$", cache) or "Release").upper()))
    return path and f"{first_line(path, '--version')}, {' '.join(flags.split())}"


def crate(name):
    lock = text_of(contenders.HERE / "peers/tokio/Cargo.lock")
    return found(rf'name = "{name}"\nversion = "(.*)"', lock)


def module(name):
    """Of Python's, here or where contenders.py puts what is missing."""
    for python in (contenders.PYTHON, contenders.VENV):
        version = first_line(python, "-c", f"import {name}; print({name}.__version__)")
        if version:
            return version
    return None


def boost():
    version = found(r'BOOST_LIB_VERSION "(.*)"', text_of("/usr/include/boost/version.hpp"))
    return version and version.replace("_", ".")


def package(name):
    return first_line("pkg-config", "--modversion", name)


def program(name, *arguments):
    return first_line(name, *arguments) if shutil.which(name) else None


def versions():
    """{what: version} of what is here."""
    cargo = first_line("cargo", "--version")
    all_of_them = {
        "pirn": ours(), "compiler": compiler(), "libc": " ".join(platform.libc_ver()),
        "liburing": package("liburing"), "Go": first_line("go", "version"), "Rust": cargo,
        "Tokio": cargo and crate("tokio"), "hyper": cargo and crate("hyper"),
        "Python": first_line(contenders.PYTHON, "--version"), "uvloop": module("uvloop"),
        "uvicorn": module("uvicorn"), "libuv": package("libuv"), "TBB": package("tbb"),
        "Boost": boost(), "wrk": (program("wrk", "-v") or "").split(" [")[0],
        "fio": program("fio", "--version"), "gnuplot": program("gnuplot", "--version"),
    }
    return {what: version for what, version in all_of_them.items() if version}


def about():
    return {"cpu": cpu_name(), "workers": WORKERS, "memory_gib": round(memory_gib(), 1),
            "kernel": platform.release(),
            "system": found(r'^PRETTY_NAME="(.*)"$', text_of("/etc/os-release")) or "?",
            "virtual": " hypervisor" in text_of("/proc/cpuinfo"),
            "when": time.strftime("%Y-%m-%d %H:%M %Z"), "versions": versions()}


def sentence(found_here):
    kind = "virtual machine" if found_here.get("virtual") else "machine"
    return (f"{kind} with {found_here['workers']} CPUs ({found_here['cpu']}), "
            f"{found_here['memory_gib']} GiB, Linux {found_here['kernel']}, "
            f"{found_here['system']}, {found_here['when']}")
