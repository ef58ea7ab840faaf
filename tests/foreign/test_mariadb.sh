#!/bin/sh
# libmariadb in coroutines (api/examples/with_mariadb.h, mariadb.c), and the tutorials' programs that ask a
# database, against a MariaDB server of the test's own.
set -eu
. "$SOURCE_DIR/tests/foreign/servers.sh"

wants "$BIN_DIR/mariadb" mariadb-install-db my_print_defaults mariadbd

# ---- The server
as_nobody mariadb-install-db --no-defaults --datadir="$work/data" --auth-root-authentication-method=normal \
    --skip-test-db --skip-name-resolve >"$work/install.log" 2>&1
cat >"$work/init.sql" <<SQL
CREATE DATABASE IF NOT EXISTS test;
CREATE OR REPLACE USER root@'127.0.0.1' IDENTIFIED BY 'root';
GRANT ALL ON *.* TO root@'127.0.0.1' WITH GRANT OPTION;
CREATE OR REPLACE TABLE test.user (host CHAR(60), user CHAR(80));
INSERT INTO test.user VALUES ('localhost', 'ada'), ('%', 'grace');
CREATE OR REPLACE TABLE test.met (x INT);
SQL
until
    some_port
    start server mariadbd --no-defaults --datadir="$work/data" --socket="$work/socket" --bind-address=127.0.0.1 \
        --port=$port --init-file="$work/init.sql" --skip-name-resolve --innodb-flush-log-at-trx-commit=0 \
        --max-allowed-packet=16M
    starting "$work/socket"
do
    grep -q "Address already in use" "$work/server.log"
done
export PIRN_MARIADB=$port MYSQL_PWD=root
"$BIN_DIR/mariadb" -d test 127.0.0.1:$port "CREATE PROCEDURE meet(n INT) BEGIN
        INSERT INTO met VALUES (1);
        SELECT 1;
        WHILE (SELECT COUNT(*) FROM met) < n DO DO SLEEP(0.005); END WHILE;
        SELECT 2;
    END"

# ---- The glue
"$BIN_DIR/tests/foreign/check_mariadb"

# ---- The example, waiting and blocking
for w in 1 2 4; do
    for way in "" -b; do
        # Four that end only when all are under way.
        "$BIN_DIR/mariadb" -d test 127.0.0.1:$port "DELETE FROM met"
        ends_with 0 "$BIN_DIR/mariadb" $way -w $w -d test 127.0.0.1:$port "CALL meet(4)" "CALL meet(4)" \
            "CALL meet(4)" "CALL meet(4)"
        sort "$work/output" >"$work/sorted"
        printf '1: 1\n1: 2\n2: 1\n2: 2\n3: 1\n3: 2\n4: 1\n4: 2\n' | cmp - "$work/sorted"

        # An error is none of the others' business.
        ends_with 1 "$BIN_DIR/mariadb" $way -w $w -d test 127.0.0.1:$port "SELECT * FROM nowhere" \
            "SELECT host, user FROM user ORDER BY user"
        said "1: failed: Table 'test.nowhere' doesn't exist"
        said '2: localhost|ada'
        said '2: %|grace'
    done
    # Over the Unix socket; a query that takes too long.
    ends_with 1 env MYSQL_PWD= "$BIN_DIR/mariadb" -w $w -t 0.2 "$work/socket" "SELECT SLEEP(1000)"
    said '1: failed: Connection timed out'

    # A server that does not answer, and one that is not there.
    silent
    ends_with 1 "$BIN_DIR/mariadb" -w $w -t 0.2 127.0.0.1:"$silent_port" "SELECT 1" "SELECT 2"
    said '1: failed: Connection timed out'
    said '2: failed: Connection timed out'
    silent_ends
    ends_with 1 "$BIN_DIR/mariadb" -w $w 127.0.0.1:"$silent_port" "SELECT 1"
    grep -q '^1: failed: ' "$work/output"
done

# ---- The tutorials' programs
for w in 1 2 4; do
    export PIRN_WORKERS=$w
    ends_with 0 "$BIN_DIR/seeds/s247_database_query" 127.0.0.1 $port
    printf '(localhost, ada)\n(%%, grace)\n' | cmp - "$work/output"

    # Two servers. The one that does not answer is ended when the rows of the other are there, not before:
    # so both were asked at the same time, and the program lasts as long as the slower.
    for first in good silent; do
        silent
        set -- 127.0.0.1 $port 127.0.0.1 "$silent_port"
        [ $first = good ] || set -- 127.0.0.1 "$silent_port" 127.0.0.1 $port
        : >"$work/output" # not what the last one said
        SEED_SECOND_MS=100000 "$BIN_DIR/seeds/s248_two_databases" "$@" >"$work/output" 2>&1 &
        program=$!
        until_said '(%, grace)'
        kill -0 $program
        silent_ends
        wait $program
        [ "$(head -n 2 "$work/output")" = '(localhost, ada)
(%, grace)' ]
        [ "$(wc -l <"$work/output")" = 3 ]
        tail -n 1 "$work/output" | grep -q '^127\.0\.0\.1: .'
    done

    # Or its time runs out.
    silent
    ends_with 0 env SEED_SECOND_MS=30 "$BIN_DIR/seeds/s248_two_databases" 127.0.0.1 "$silent_port" \
        127.0.0.1 "$silent_port"
    [ "$(grep -cx '127.0.0.1: Connection timed out' "$work/output")" = 2 ]
    silent_ends
done
unset PIRN_WORKERS

# SIGINT gives up what is under way, also at the server.
"$BIN_DIR/mariadb" 127.0.0.1:$port "SELECT SLEEP(1000)" >"$work/output" &
program=$!
asleep="SELECT COUNT(*) FROM information_schema.processlist WHERE info = 'SELECT SLEEP(1000)'"
until [ "$("$BIN_DIR/mariadb" 127.0.0.1:$port "$asleep")" = "1: 1" ]; do sleep 0.02; done
kill -INT $program
got=0
wait $program || got=$?
[ $got = 1 ]
said '1: failed: Operation canceled'
until [ "$("$BIN_DIR/mariadb" 127.0.0.1:$port "$asleep")" = "1: 0" ]; do sleep 0.02; done
