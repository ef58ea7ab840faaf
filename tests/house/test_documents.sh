#!/bin/sh
# Every function and file that the documents name in `backticks` exists: `name()` is defined or declared
# in the library, `folder/file.ext` is in the tree. So they cannot rot unseen.
set -eu
cd "${SOURCE_DIR:-$(dirname "$0")/../..}"

count=0
failed=0
for document in README.md ARCHITECTURE.md CONTRIBUTING.md; do
    for name in $(grep -o '`[a-z_0-9]*()`' $document | tr -d '`()' | sort -u); do
        count=$((count + 1))
        grep -Eqr --include='*.[chS]' "^[^ #/*].*\b$name\(|^$name:" api runtime sched io || {
            echo "$document: there is no function $name()"
            failed=1
        }
    done
    for path in $(grep -Eo '`[a-z_0-9-]+(/[a-z_0-9-]+)*/[a-zA-Z_0-9-]+\.[a-zS]+`' $document |
        tr -d '`' | sort -u); do
        count=$((count + 1))
        [ -e "$path" ] || {
            echo "$document: there is no $path"
            failed=1
        }
    done
done
[ $count -gt 20 ] || failed=1
echo "$count names looked up"
exit $failed
