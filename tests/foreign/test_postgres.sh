#!/bin/sh
# libpq in coroutines (api/examples/with_postgres.h, postgres.c), against a PostgreSQL server of the test's own.
set -eu
. "$SOURCE_DIR/tests/foreign/servers.sh"

folder=$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -V | tail -n 1)
wants "$BIN_DIR/postgres" "$folder/initdb" "$folder/postgres"

# ---- The server
as_nobody "$folder/initdb" -D "$work/data" -A trust -U me -E UTF8 -N >"$work/initdb.log" 2>&1
until
    some_port
    start server "$folder/postgres" -D "$work/data" -k "$work" -h 127.0.0.1 -p $port -F -c jit=off \
        -c shared_buffers=8MB -c max_wal_senders=0
    starting "$work/.s.PGSQL.$port"
do
    grep -q "could not create any TCP/IP sockets" "$work/server.log"
done
place="host=127.0.0.1 port=$port user=me"
until "$BIN_DIR/postgres" "$place dbname=postgres" 'CREATE DATABASE test' >"$work/output"; do
    grep -q "starting up" "$work/output"
done
export PIRN_POSTGRES="$place dbname=test"
"$BIN_DIR/postgres" "$PIRN_POSTGRES" "CREATE TABLE met (x int);
    CREATE PROCEDURE meet(n int) LANGUAGE plpgsql AS \$\$ BEGIN
        INSERT INTO met VALUES (1);
        COMMIT;
        WHILE (SELECT count(*) FROM met) < n LOOP PERFORM pg_sleep(0.005); END LOOP;
    END \$\$"

# ---- The glue
"$BIN_DIR/tests/foreign/check_postgres"

# ---- The example
for w in 1 2 4; do
    # Four that end only when all are under way, over the Unix socket.
    "$BIN_DIR/postgres" "$PIRN_POSTGRES" "TRUNCATE met"
    ends_with 0 "$BIN_DIR/postgres" -w $w "host=$work port=$port user=me dbname=test" "CALL meet(4)" \
        "CALL meet(4)" "CALL meet(4)" "CALL meet(4)" "SELECT 'a', 'b' UNION SELECT 'c', NULL ORDER BY 1; SELECT 1"
    printf '5: a|b\n5: c|\n5: 1\n' | cmp - "$work/output"

    # An error is none of the others' business; a query that takes too long.
    ends_with 1 "$BIN_DIR/postgres" -w $w "$PIRN_POSTGRES" "SELEC" "SELECT 42"
    said '1: failed: ERROR:  syntax error at or near "SELEC"'
    said '2: 42'
    ends_with 1 "$BIN_DIR/postgres" -w $w -t 0.2 "$PIRN_POSTGRES" "SELECT pg_sleep(1000)"
    said '1: failed: Connection timed out'

    # A server that does not answer, and one that is not there.
    silent
    ends_with 1 "$BIN_DIR/postgres" -w $w -t 0.2 "host=127.0.0.1 port=$silent_port" "SELECT 1" "SELECT 2"
    said '1: failed: Connection timed out'
    said '2: failed: Connection timed out'
    silent_ends
    ends_with 1 "$BIN_DIR/postgres" -w $w "host=127.0.0.1 port=$silent_port" "SELECT 1"
    grep -q '^1: failed: .*Connection refused' "$work/output"
done

# SIGINT gives up what is under way, also at the server.
"$BIN_DIR/postgres" "$PIRN_POSTGRES" "SELECT 1" "SELECT pg_sleep(1000)" >"$work/output" &
program=$!
asleep="SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query = 'SELECT pg_sleep(1000)'"
until [ "$("$BIN_DIR/postgres" "$PIRN_POSTGRES" "$asleep")" = "1: 1" ]; do sleep 0.02; done
kill -INT $program
got=0
wait $program || got=$?
[ $got = 1 ]
said '2: failed: Operation canceled'
until [ "$("$BIN_DIR/postgres" "$PIRN_POSTGRES" "$asleep")" = "1: 0" ]; do sleep 0.02; done
