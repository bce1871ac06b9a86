#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# examples/parity without PyTorch: it says so, in the words and with the code that its callers go by. With PyTorch it is
# `make check-oracle`, which compares; here one case shows that the scripts and the command still speak to each other.
# shellcheck disable=SC2016,SC2317 # a pattern holds backquotes; facts are called by their names
# shellcheck source=tests/cli/lib.sh
. "$(dirname "$0")/lib.sh"

scripts=$LOCI_TEST_SRC/examples/parity
export PYTHONDONTWRITEBYTECODE=1

ran() { # COMMAND...
    rc=0
    last=$*
    "$@" >out 2>err </dev/null || rc=$?
}

python_is_here() {
    [ -f "$scripts/run.py" ] || skip 'examples/parity is not here'
    python3 -c '' 2>/dev/null || skip 'python3 is not installed'
}

every_script_is_python() {
    python_is_here
    ran python3 -c 'import ast, sys
for name in sys.argv[1:]:
    ast.parse(open(name).read(), name)' "$scripts"/*.py
    exits 0
}

without_pytorch_nothing_is_compared_and_that_is_said() {
    python_is_here
    ran python3 -I -S "$scripts/run.py"
    exits 77
    says 'is not installed for' 'nothing was compared' 'pip install -r requirements.txt'
}

make_check_oracle_skips_in_words() {
    python_is_here
    [ -f "$LOCI_TEST_BUILD/Makefile" ] || skip 'this is not a build tree'
    ran env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL make -s -C "$LOCI_TEST_BUILD" -o all check-oracle PYTHON='python3 -I -S'
    exits 0
    prints 'check-oracle: skipped'
    ran env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL make -s -C "$LOCI_TEST_BUILD" -o all check-oracle PYTHON=./no-such-python
    exits 0
    prints 'check-oracle: skipped: ./no-such-python does not run'
}

pytorch_is_here() {
    python_is_here
    python3 -c 'import numpy, safetensors, torch' 2>/dev/null || skip 'python3 has no PyTorch'
    export LOCI_COMMAND
}

a_case_agrees() {
    pytorch_is_here
    ran python3 "$scripts/run.py" --only 'delta, exact, chunks of 5'
    exits 0
    prints '2 passed, 0 failed'
}

a_case_that_is_not_there_is_named() {
    pytorch_is_here
    ran python3 "$scripts/run.py" --only 'no such case'
    exits 2
    says 'no case is called no such case'
}

the_rule_of_the_readme_agrees() {
    pytorch_is_here
    sed -n '/^```python$/,/^```$/p' "$scripts/README.md" | grep -v '^```' >mine.py
    ran env PYTHONPATH="$scripts" python3 mine.py
    exits 0
    holds 'float32' "$(sed -n 's/^torch.float32 \([^ ]*\) .*/\1/p' out) < 1e-5"
    holds 'float64' "$(sed -n 's/^torch.float64 \([^ ]*\) .*/\1/p' out) < 1e-10"
}

facts every_script_is_python without_pytorch_nothing_is_compared_and_that_is_said make_check_oracle_skips_in_words \
    a_case_agrees a_case_that_is_not_there_is_named the_rule_of_the_readme_agrees
