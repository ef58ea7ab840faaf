#!/bin/sh
# File calls where the kernel knows less or does less than it might: the same tests pass. Rules: io/sys.c.
set -eu
[ "$PIRN_HARD" = ON ] || exit 77

while read -r program rules; do
    PIRN_FAULT=$rules "$BIN_DIR/tests/file/$program" >/dev/null 2>"${TMPDIR:-/tmp}/pirn-fault.$$" || {
        echo "$program with $rules:"
        cat "${TMPDIR:-/tmp}/pirn-fault.$$"
        rm -f "${TMPDIR:-/tmp}/pirn-fault.$$"
        exit 1
    }
done <<'END'
ops ring_newer:EINVAL
ops ring_newer:EINVAL:1/2
whole ring_newer:EINVAL,copy_file_range:EXDEV
whole copy_file_range:EOPNOTSUPP:1/2
whole copy_file_range:EINTR:1/2,getdents64:EINTR:1/3
whole preadv2:EAGAIN:1/2,pwritev2:EAGAIN:1/2
transfer preadv2:EAGAIN:1/2,pwritev2:EAGAIN:1/2
whole preadv2:EOPNOTSUPP:1/2,pwritev2:EOPNOTSUPP:1/2
print pwritev2:EAGAIN:1/3
END
rm -f "${TMPDIR:-/tmp}/pirn-fault.$$"
