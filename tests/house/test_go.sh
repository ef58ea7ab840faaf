#!/bin/sh
# api/go.md: its C programs build and print what it says, and so do the Go programs beside them, where
# there is a Go that has WaitGroup.Go (1.25); and it names everything of Go that is for concurrency.
# serial
set -eu
document=$SOURCE_DIR/api/go.md
language=go
names=$SOURCE_DIR/tests/house/go_names.txt
programs=4

there_is() { go doc sync.WaitGroup.Go >/dev/null; }
run_other() { GOFLAGS=-mod=mod GOTOOLCHAIN=local go run "$1.go"; }

. "$SOURCE_DIR/tests/house/guide.sh"
