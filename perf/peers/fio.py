"""The row file for fio: fio.py file [key=value ...], printing key=value lines as the bench program does.

Two threads, half of the depth each, over io_uring; the file is laid out first, through the cache.
"""
import json
import os
import subprocess
import sys

options = dict(arg.split("=", 1) for arg in sys.argv[2:])
direct = options.get("variant") == "direct"
tasks = int(options.get("tasks", 128))
reads = int(options.get("reads", 60000 if direct else 400000))
workers = int(options.get("workers", 2))
path = os.path.join(options.get("dir", "/var/tmp"), f"bench-file-fio-{os.getpid()}")
size = int(options.get("mib", 256)) * 1024 * 1024
try:
    with open(path, "wb") as made:
        for number in range(size // 4096):
            made.write(number.to_bytes(8, "little") + bytes(4088))
        made.flush()
        os.fsync(made.fileno())
    done = subprocess.run(
        ["fio", "--name=file", f"--filename={path}", "--rw=randread", "--bs=4k",
         "--ioengine=io_uring", f"--direct={int(direct)}", "--invalidate=0", "--thread",
         f"--numjobs={workers}", f"--iodepth={max(1, tasks // workers)}", f"--size={size}",
         f"--io_size={reads // workers * 4096}", "--norandommap", "--randrepeat=0",
         "--group_reporting", "--output-format=json"],
        capture_output=True, text=True, check=True)
finally:
    os.unlink(path)
report = json.loads(done.stdout[done.stdout.index("{"):])
job = report["jobs"][0]
count = job["read"]["total_ios"]
took = job["read"]["runtime"] / 1e3  # of the group: the longest
used = (job["usr_cpu"] + job["sys_cpu"]) / 100 * job["job_runtime"] / 1e3
print(f"ns_per_op={took / count * 1e9:.3f}")
print(f"cpu_ns_per_op={used / count * 1e9:.3f}")
print(f"reads_per_s={count / took:.3f}")
