"""
Counts the instructions of the guarded operations (counts.c) and compares them with counts.txt:

    counts.py PROGRAM FOLDER COUNTS.TXT DESCRIPTION [--renew]
    counts.py PROGRAM FOLDER --beside FEW MANY

The second form compares the counts beside few coroutines that are parked with those beside many; there, twice
as many are too much.

FOLDER gets what callgrind wrote, a file for each operation. DESCRIPTION is what the counts hold for: the
compiler, its flags, the C library, the machine; if the file was made with another, nothing is compared.
Exit status 0, 1 (an operation takes too many), 77 (skipped).

An instruction is put down to the function in whose code it lies. Callgrind's own call graph does not follow
coroutines from stack to stack, so callgrind_annotate's functions are not to be believed here, its lines are.
"""

import bisect
import os
import shutil
import subprocess
import sys

MOST = 1.05
MOST_BESIDE_MANY = 2
DISTURBED = 75  # counts.c: a spare thread was started before the counting began


def symbols(program):
    listed = subprocess.run(["nm", "-n", "--defined-only", program], check=True, text=True, stdout=subprocess.PIPE)
    found = []
    for line in listed.stdout.splitlines():
        address, kind, name = line.split()[:3]
        if kind in "tTwW":
            found.append((int(address, 16), name.split(".")[0]))  # f.cold and f.part.0 are f
    return found


def by_function(path, program, functions):
    """Instructions in a file of callgrind's, by the function they are in; other objects are one each."""
    begins = [address for address, _ in functions]
    costs, of_a_call, object_file = {}, False, ""
    with open(path) as lines:
        for line in lines:
            if line.startswith("ob="):
                object_file = line[3:].strip()
            elif line.startswith("calls="):
                of_a_call = True  # the next line is what the callee took
            elif line.startswith("0x"):
                if not of_a_call:
                    address, _, cost = line.split()
                    name = os.path.basename(object_file)
                    if os.path.realpath(object_file) == program:
                        name = functions[bisect.bisect_right(begins, int(address, 16)) - 1][1]
                    costs[name] = costs.get(name, 0) + int(cost)
                of_a_call = False
    return costs


def count(program, folder, beside="0"):
    """{operation: {function: instructions for one}}"""
    out = os.path.join(folder, "out")
    valgrind = ["valgrind", "-q", "--tool=callgrind", "--collect-atstart=no", "--dump-instr=yes"]
    valgrind += ["--compress-strings=no", "--compress-pos=no", "--callgrind-out-file=" + out]
    valgrind += [program, beside]
    while True:
        shutil.rmtree(folder, ignore_errors=True)
        os.makedirs(folder)
        run = subprocess.run(valgrind, text=True, stdout=subprocess.PIPE)
        if run.returncode != DISTURBED:
            break
    if run.returncode == 77:
        print(run.stdout, end="")
        sys.exit(77)
    if run.returncode != 0:
        sys.exit("%s: exit status %d" % (" ".join(valgrind), run.returncode))
    functions = symbols(program)
    counts = {}
    for number, line in enumerate(run.stdout.splitlines(), 1):
        name, times = line.split()
        path = os.path.join(folder, name)
        os.rename("%s.%d" % (out, number), path)
        costs = by_function(path, program, functions)
        counts[name] = {function: cost / int(times) for function, cost in costs.items()}
    return counts


def read(path):
    """The file's description, and its counts as count() gives them."""
    description, counts, name = [], {}, None
    with open(path) as lines:
        for line in lines:
            words = line.split()
            if line.startswith("# for "):
                description = line[6:].strip()
            if not words or line.startswith("#"):
                continue
            if line[0] == " ":
                counts[name][words[0]] = float(words[1])
            else:
                name = words[0]
                counts[name] = {"": float(words[1])}
    return description, counts


def write(path, description, counts):
    with open(path) as old:
        head = [line for line in old if line.startswith("#") and not line.startswith("# for ")]
    with open(path, "w") as file:
        file.writelines(head)
        file.write("# for %s\n" % description)
        for name, costs in counts.items():
            file.write("\n%s %.1f\n" % (name, sum(costs.values())))
            rest = 0
            for function, cost in sorted(costs.items(), key=lambda item: (-round(item[1], 1), item[0])):
                if cost < 1:
                    rest += cost
                else:
                    file.write("    %s %.1f\n" % (function, cost))
            file.write("    (others) %.1f\n" % rest)


def explain(was, now):
    """Where it has grown or shrunk."""
    changes = [(now.get(f, 0) - was.get(f, 0), f) for f in set(was) | set(now)]
    for change, function in sorted(changes, reverse=True):
        if abs(change) >= 1 and function not in ("", "(others)"):
            print("    %+8.1f  %s: %.1f -> %.1f" % (change, function, was.get(function, 0), now.get(function, 0)))


def compare(kept, counts):
    """Those that have grown too much."""
    grown = []
    for name, costs in counts.items():
        total = sum(costs.values())
        was = kept.get(name)
        if was is None:
            print("%-14s %8.1f  new, not in the file" % (name, total))
            grown.append(name)
            continue
        ratio = total / was[""]
        print("%-14s %8.1f  was %8.1f  %+.1f%%" % (name, total, was[""], 100 * (ratio - 1)))
        if ratio > MOST:
            grown.append(name)
        if not 1 / MOST <= ratio <= MOST:
            explain(was, costs)
    missing = [name for name in kept if name not in counts]
    for name in missing:
        print("%s is in the file only" % name)
    return grown + missing


def compare_beside(program, folder, few, many):
    before, after = count(program, folder, few), count(program, folder, many)
    grown = []
    for name, costs in after.items():
        was, total = sum(before[name].values()), sum(costs.values())
        print("%-14s %8.1f beside %s, %8.1f beside %s: %.2f times" % (name, was, few, total, many, total / was))
        if total > MOST_BESIDE_MANY * was:
            grown.append(name)
            explain(before[name], costs)
    print("too much: " + " ".join(grown) if grown else "%d operations" % len(after))
    return 1 if grown or not after else 0


def main():
    program, folder = os.path.realpath(sys.argv[1]), sys.argv[2]
    if sys.argv[3] == "--beside":
        return compare_beside(program, folder, sys.argv[4], sys.argv[5])
    path, description = sys.argv[3:5]
    if "--renew" in sys.argv:
        write(path, description, count(program, folder))
        print("renewed: " + path)
        return 0
    kept_for, kept = read(path)
    if kept_for != description:
        print("skipped: the counts are for %s, this is %s" % (kept_for, description))
        return 77
    grown = compare(kept, count(program, folder))
    if not grown:
        return 0
    print("too much: " + " ".join(grown))
    print("If it is wanted so: PIRN_GUARD_RENEW=1 ctest --test-dir BUILD -R guard/counts")
    return 1


sys.exit(main())
