#!/bin/sh
# api/asyncio.md: its C programs build and print what it says, and so do the Python programs beside
# them, where there is a Python 3.13 (PYTHON, or python3); and it names everything of asyncio.
# serial
set -eu
document=$SOURCE_DIR/api/asyncio.md
language=python
names=$SOURCE_DIR/tests/house/asyncio_names.txt
programs=5
python=${PYTHON:-python3}

there_is() { "$python" -c 'import asyncio; asyncio.QueueShutDown'; }
run_other() { "$python" "$1.python"; }

. "$SOURCE_DIR/tests/house/guide.sh"
