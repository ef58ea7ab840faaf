#!/bin/sh
# What CONTRIBUTING.md says of names in the public headers holds: an initialiser is called after its type, and
# what is retained is released.
set -eu
cd "$SOURCE_DIR/api/include"
bad=0

inits=$(cat pirn.h pirn/*.h | sed -n 's/^#define PIRN_\([A-Z_]*\)_INIT\>.*/\1/p')
[ "$(echo "$inits" | wc -l)" -gt 20 ]
for init in $inits; do
    type=pirn_$(echo "$init" | tr A-Z a-z)
    grep -q "^} $type;" pirn.h pirn/*.h || {
        echo "PIRN_${init}_INIT is of no type $type"
        bad=1
    }
done

calls=$(cat pirn.h pirn/*.h | grep -o 'pirn_[a-z_]*_\(retain\|release\)(' | tr -d '(' | sort -u)
for call in $calls; do
    case $call in
    pirn_semaphore_release) continue ;; # a permit
    *_retain) other=${call%retain}release ;;
    *) other=${call%release}retain ;;
    esac
    echo "$calls" | grep -qx "$other" || {
        echo "$call without $other"
        bad=1
    }
done
exit $bad
