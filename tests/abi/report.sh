#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# scripts/abi-report sees what docs/design/abi.md says it sees: a changed table behind `void *`, through its witness; and
# not the difference between what is allowed and what is not, which is why it is no gate.
set -euo pipefail
export LC_ALL=C CC=${LOCI_TEST_CC:-cc}

cd "$LOCI_TEST_SRC"
if ! command -v abidiff >/dev/null; then
    scripts/abi-report include | grep -q '^skipped: .*abigail-tools' || {
        echo "FAIL: without abidiff the report does not say so"
        exit 1
    }
    echo "skipped: abidiff is not installed (apt-get install abigail-tools)"
    exit 77
fi
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
failed=0

sees() { # sees CODE WORDS SED: abidiff's exit code for one change of plugin.h
    local said
    rm -rf "$tmp/old" && cp -r include "$tmp/old" && chmod -R u+w "$tmp/old"
    sed -i -e "$3" "$tmp/old/loci/plugin.h"
    said=$(scripts/abi-report "$tmp/old" | tail -n 1)
    case $said in
    *"exit code $1, "*) ;;
    *)
        echo "FAIL: $2: $said"
        failed=$((failed + 1))
        ;;
    esac
}

# The headers of the tree are the new ones: what is removed here was appended, or inserted, there.
sees 0 "no change" ''
sees 4 "append to loci_host" '/(\*child_caps)(/d'
sees 4 "reorder loci_host" '/void \*(\*alloc)(const loci_host/{h;d};/void (\*free)(const loci_host/G'
sees 4 "change loci_memory, behind void *" 's/uint32_t needs;/& const void *more;/'
sees 0 "renumber constants" 's/^\(#define LOCI_MEM_K\) 2u/\1 4u/;s/^\(#define LOCI_MEM_V\) 4u/\1 2u/'

echo "$failed failures"
[ $failed -eq 0 ]
