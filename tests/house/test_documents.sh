#!/bin/sh
# Every function and file that the documents name in `backticks` exists: `name()` is defined or declared
# in the library, `folder/file.ext` is in the tree; what [links](lead/to.md#somewhere) is there; and every
# pirn_name of api/asyncio.md and api/go.md is in a public header. So they cannot rot unseen.
set -eu
cd "${SOURCE_DIR:-$(dirname "$0")/../..}"

count=0
failed=0
miss() {
    echo "$1: there is no $2"
    failed=1
}

anchors() { # of a document's headings, as GitHub makes them
    sed -n '/^```/,/^```/d; s/^##* //p' "$1" | tr '[:upper:]' '[:lower:]' | tr -cd 'a-z0-9_\n -' | tr ' ' '-'
}

for document in README.md ARCHITECTURE.md CONTRIBUTING.md api/asyncio.md api/go.md; do
    for name in $(grep -o '`[a-z_0-9]*()`' $document | tr -d '`()' | sort -u); do
        count=$((count + 1))
        grep -Eqr --include='*.[chS]' "^[^ #/*].*\b$name\(|^$name:" api runtime sched io ||
            miss $document "function $name()"
    done
    for path in $(grep -Eo '`[a-z_0-9-]+(/[a-z_0-9-]+)*/[a-zA-Z_0-9-]+\.[a-zS]+`' $document |
        tr -d '`' | sort -u); do
        count=$((count + 1))
        [ -e "$path" ] || miss $document "$path"
    done
    for link in $(grep -o ']([^) ]*)' $document | sed 's/^](//; s/)$//' | sort -u); do
        path=${link%%#*}
        path=${path:+$(dirname $document)/$path}
        path=${path:-$document}
        count=$((count + 1))
        [ -e "$path" ] || miss $document "$path"
        case $link in *#*) anchors "$path" | grep -qx -e "${link#*#}" || miss $document "$link" ;; esac
    done
done

headers=$(cat api/include/pirn.h api/include/pirn/*.h | grep -Eo '\b(pirn|PIRN)_[a-zA-Z0-9_]*' | sort -u)
for document in api/asyncio.md api/go.md; do
    for name in $(grep -Eo '\b(pirn|PIRN)_[a-zA-Z0-9_]*' $document | sort -u); do
        count=$((count + 1))
        echo "$headers" | grep -qx "$name" || miss $document "$name"
    done
done

[ $count -gt 20 ] || failed=1
echo "$count names looked up"
exit $failed
