#!/bin/sh
# What judges and reports benchmarks, from figures made up here: statistics, turns, the judge of noise,
# table, CSV, page, plots; and that perf/bench's load counts the beats that a slow server made it miss.
# No time is measured.
command -v python3 >/dev/null || exit 77
exec python3 -B "${SOURCE_DIR:-$(dirname "$0")/../..}/tests/house/check_record.py"
