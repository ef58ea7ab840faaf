#!/bin/sh
# Every row of the record runs, with each peer whose toolchain is here, on tiny counts: each gives the figures
# that its cases show and judge. A peer that is here and does not build is a failure. No time is measured.
command -v python3 >/dev/null || exit 77
[ -z "$PIRN_SANITIZE" ] && [ "$PIRN_HARD" != ON ] && [ -x "$BIN_DIR/bench" ] || exit 77
export BUILD_DIR
export PEERS_DIR="$BUILD_DIR/peers-test" PEERS_BUILD_SECONDS=700 # the machine is busy with other tests
# Of Tokio's peer only that it builds and runs is of interest.
export CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_OPT_LEVEL=0 CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16
exec python3 -B "$SOURCE_DIR/tests/house/check_peers.py"
