"""Whether the machine is quiet enough to compare anything on it.

Three figures, each with a bound, taken over the same time as the runs they are to vouch for:

    slow    `bench noise` does the same piece of work on every CPU at once: by how much a piece took
            longer, on average, than the best one of the last RECENT probes. A machine of its own has
            less than 1%. Taken before each round of runs and after the last, and the median counts
    bursts  the upper quartile of the same: one bad moment does no harm to a median of five runs, but
            when every fourth is bad it does
    steal   what of the CPUs' time the host gave to somebody else (/proc/stat)
    others  what of it other programs on this machine used: all CPU time but that of this program and
            those it started. Time in interrupts is left out, since kernels count it differently.

The bounds were chosen on a shared virtual machine of 2 CPUs, of 23 batches in half an hour. A batch had
`echo` and `yield` (200 coroutines on 2 workers) beside themselves: medians of five runs in turns, of which
the ratio should be 1, and a probe before each round. By how much it was off, as the median of the batches:

    batches                             slow        yield, time   CPU    echo, msgs/s   CPU
    8 beside a tenth of a CPU or less   0.04..0.08           4%    2%              4%    2%
    8 beside a quarter of one to all    0.11..0.66          13%    2%              2%    3%
    7 beside compilers and tests        2.6 ..7.5           28%   18%             27%    8%

So a quiet time of such a machine is let through, and what uses a quarter of a CPU all the time is not.
One probe in ten was above 0.25 also when nothing else ran, up to 0.67: hence the quartile. The host took
0.2% of the CPUs' time at most; 2% is where it begins to matter beside the gates.

The best one of all probes was the measure at first. It refused whole hours of a machine that was even: its
host's pace had changed, from 420 us at best for a piece to 470, and each piece in 15,000 that had the luck of
a faster moment set the bound for the rest of the day. A pace that stays the same is the same for all
contenders of a case.

The probe computes in registers: what the host does to the caches and to page faults it does not see. That
is in the spread of the runs, which stands beside each median. `others` is a second look at what the
probes see, over the whole time and not only between rounds.
"""
import collections
import os
import resource
import sys

import contenders
import results

BOUNDS = {"slow": 0.10, "bursts": 0.25, "steal": 0.02, "others": 0.10}
PROBE_MS = 300
RECENT = 8  # probes: a case of five rounds has six


def reasons(figures):
    """Why this is too noisy; nothing if it is not."""
    words = {"slow": "the same work took {:.0%} longer than at best (bound {:.0%})",
             "bursts": "a quarter of the time the same work took {:.0%} longer or more (bound {:.0%})",
             "steal": "the host gave {:.1%} of the CPUs' time to others (bound {:.0%})",
             "others": "other programs used {:.0%} of the CPUs' time (bound {:.0%})"}
    return [words[key].format(figures[key], bound) for key, bound in BOUNDS.items()
            if figures[key] > bound]


def cpu_times(stat=None):
    """Seconds that the CPUs of this process were busy with programs, were stolen, and had in all."""
    if stat is None:
        with open("/proc/stat", encoding="utf-8") as file:
            stat = file.read()
    mine = {f"cpu{n}" for n in os.sched_getaffinity(0)}
    busy = stolen = total = 0
    for line in stat.splitlines():
        name, *fields = line.split()
        if name in mine:
            ticks = [int(field) for field in fields[:8]]
            busy, stolen, total = busy + sum(ticks[:3]), stolen + ticks[7], total + sum(ticks)
    tick = os.sysconf("SC_CLK_TCK")
    return busy / tick, stolen / tick, total / tick


def own_time():
    """CPU time of this process and all that it has started and waited for."""
    return sum(usage.ru_utime + usage.ru_stime for usage in map(
        resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)))


class Judge:
    """Knows the best pace of late."""

    def __init__(self):
        self.pieces, self.last = 0, 0.0
        self.best = collections.deque(maxlen=RECENT)

    def slow(self):
        more = [f"piece_iters={self.pieces}"] if self.pieces else []
        figures = contenders.numbers([str(contenders.BENCH), "noise", f"ms={PROBE_MS}", *more])
        if figures is None:
            sys.exit("bench noise has failed")
        self.pieces = int(figures["piece_iters"])
        self.best.append(figures["best_us"])
        self.last = figures["mean_us"] / min(self.best) - 1
        return self.last

    def quiet_now(self):
        return self.slow() <= BOUNDS["slow"]

    def last_words(self):
        return reasons({key: 0 for key in BOUNDS} | {"slow": self.last})[0]


class Watch:
    """Over the runs of one case."""

    def __init__(self, judge):
        self.judge, self.slow = judge, []
        self.begin, self.own = cpu_times(), own_time()

    def probe(self):
        self.slow.append(self.judge.slow())

    def end(self):
        busy, stolen, total = (b - a for a, b in zip(self.begin, cpu_times()))
        own = own_time() - self.own
        slow, total = results.summary(self.slow), max(total, 1e-9)
        figures = {"slow": slow.median, "bursts": slow.high,
                   "steal": stolen / total, "others": max(busy - own, 0) / total}
        return figures | {"probes": self.slow, "reasons": reasons(figures)}
