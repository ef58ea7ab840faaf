"""How far a record has come, and how long it will still take.

A run is expected to take what it took in the last record; what was not in that takes as long as runs
take on average so far. What runs took is kept beside the record, for the next one.
"""
import json
import sys
import time

FIRST_GUESS = 3.0  # seconds, before anything is known


def words(seconds):
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min"


class Progress:
    """`plan` has a (case, contender) for each run to come, in any order; a pair may be there often."""

    def __init__(self, plan, kept, out=sys.stderr, clock=time.monotonic):
        self.left, self.kept, self.out, self.clock = list(plan), kept, out, clock
        self.took, self.all_took, self.runs = {}, 0.0, 0
        try:
            self.known = json.loads(kept.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            self.known = {}

    def expected(self, case, contender):
        mean = self.all_took / self.runs if self.runs else FIRST_GUESS
        key = f"{case}: {contender}"
        return self.took.get(key, self.known.get(key, mean))

    def seconds_left(self):
        return sum(self.expected(*run) for run in self.left)

    def begin(self, case, contender, text):
        self.now = (case, contender, self.clock())
        line = f"   {words(self.seconds_left())} left  {text}"
        if self.out.isatty():
            print(f"\r{line:78.78}", end="", file=self.out, flush=True)

    def end(self):
        case, contender, begin = self.now
        took = self.clock() - begin
        self.took[f"{case}: {contender}"] = took
        self.all_took += took
        self.runs += 1
        if (case, contender) in self.left:
            self.left.remove((case, contender))

    def skip(self, case):
        """What was to come of a case will not."""
        self.left = [run for run in self.left if run[0] != case]

    def clear(self):
        if self.out.isatty():
            print("\r" + " " * 78 + "\r", end="", file=self.out, flush=True)

    def say(self, text):
        """A line that stays."""
        self.clear()
        print(f"   {text}", file=self.out, flush=True)

    def close(self):
        self.clear()
        self.kept.write_text(json.dumps(self.known | self.took, indent=0), encoding="utf-8")
