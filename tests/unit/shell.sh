#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Shellcheck finds nothing in the scripts of the tree.
set -eu

if ! command -v shellcheck >/dev/null; then
    echo "skipped: shellcheck is not installed (apt-get install shellcheck)"
    exit 77
fi
cd "$LOCI_TEST_SRC"
set -- tests/*/*.sh
for script in scripts/* .ci/run; do
    case $(head -n 1 "$script") in
    '#!'*sh) set -- "$@" "$script" ;;
    esac
done
shellcheck -x "$@"
echo "$# scripts"
