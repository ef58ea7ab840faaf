#!/bin/sh
# libcurl in coroutines (api/examples/with_curl.h, curl.c), against an Apache of the test's own: plain, and over
# TLS.
set -eu
. "$SOURCE_DIR/tests/foreign/servers.sh"

modules=/usr/lib/apache2/modules
wants "$BIN_DIR/curl" /usr/sbin/apache2 openssl

# ---- The server
mkdir "$work/files"
echo small >"$work/files/small"
: >"$work/files/empty"
dd if=/dev/urandom of="$work/files/big" bs=100000 count=30 2>/dev/null
dd if=/dev/urandom of="$work/files/middle" bs=100000 count=1 2>/dev/null
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost \
    -addext subjectAltName=IP:127.0.0.1 -keyout "$work/key" -out "$work/certificate" 2>"$work/openssl.log"
[ -z "$nobody" ] || chown 65534:65534 "$work/key"
until
    some_port
    cat >"$work/configuration" <<END_OF_FILE
ServerRoot $work
ServerName localhost
PidFile $work/ready
ErrorLog $work/error
Mutex file:$work
LoadModule mpm_event_module $modules/mod_mpm_event.so
LoadModule authz_core_module $modules/mod_authz_core.so
LoadModule ssl_module $modules/mod_ssl.so
LoadModule http2_module $modules/mod_http2.so
DocumentRoot $work/files
KeepAliveTimeout 300
MaxKeepAliveRequests 0
Listen 127.0.0.1:$port
Listen 127.0.0.1:$((port + 1))
<VirtualHost 127.0.0.1:$((port + 1))>
    SSLEngine on
    SSLCertificateFile $work/certificate
    SSLCertificateKeyFile $work/key
    Protocols h2 http/1.1
</VirtualHost>
END_OF_FILE
    start server /usr/sbin/apache2 -f "$work/configuration" -DFOREGROUND
    starting "$work/ready"
do
    grep -q "Address already in use" "$work/server.log"
done
http=http://127.0.0.1:$port
export PIRN_CURL_HTTP=$http PIRN_CURL_HTTPS=https://127.0.0.1:$((port + 1))
export PIRN_CURL_FOLDER="$work/files" PIRN_CURL_CA="$work/certificate"

# ---- The glue
"$BIN_DIR/tests/foreign/check_curl"

# ---- The example
for w in 1 2 4; do
    mkdir "$work/saved"
    ends_with 0 "$BIN_DIR/curl" -w $w -c 3 -o "$work/saved" $http/small $http/big $http/middle $http/big \
        $http/small
    said "$http/small: 200, 6 bytes"
    said "$http/big: 200, 3000000 bytes"
    [ "$(wc -l <"$work/output")" = 5 ]
    set -- small big middle big small
    for i in 1 2 3 4 5; do
        cmp "$work/files/$1" "$work/saved/$i"
        shift
    done
    rm -r "$work/saved"

    # What one cannot have is none of the others' business.
    silent
    ends_with 1 "$BIN_DIR/curl" -w $w -t 0.3 http://127.0.0.1:"$silent_port"/ $http/nowhere
    said "http://127.0.0.1:$silent_port/: Connection timed out"
    silent_ends
    ends_with 1 "$BIN_DIR/curl" -w $w http://127.0.0.1:"$silent_port"/ $http/nowhere $http/small nonsense://
    grep -qE "^http://127.0.0.1:$silent_port/: Could(n't| not) connect" "$work/output"
    grep -q "^$http/nowhere: 404, " "$work/output"
    said "$http/small: 200, 6 bytes"
    [ "$(wc -l <"$work/output")" = 4 ]

    # The one that does not answer is ended when the other's answer is there.
    silent
    : >"$work/output"
    "$BIN_DIR/curl" -w $w http://127.0.0.1:"$silent_port"/ $http/small >"$work/output" &
    program=$!
    until_said "$http/small: 200, 6 bytes"
    silent_ends
    got=0
    wait $program || got=$?
    [ $got = 1 ]
    [ "$(wc -l <"$work/output")" = 2 ]
done

silent
: >"$work/output"
"$BIN_DIR/curl" $http/small http://127.0.0.1:"$silent_port"/ >"$work/output" &
program=$!
until_said "$http/small: 200, 6 bytes"
kill -INT $program
got=0
wait $program || got=$?
[ $got = 1 ]
said "http://127.0.0.1:$silent_port/: Operation canceled"
