#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# The plugin in the manual of loci/rule.h compiles as it stands, as C99, C11 and C++11, and what an author may get wrong
# in it does not: each mistake is made in a copy, and the compiler must say the words that name it.
set -u

cc=${LOCI_TEST_CC:-cc} cxx=${LOCI_TEST_CXX:-c++} include=$LOCI_TEST_SRC/include
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd "$tmp" || exit 1
failed=0 seen=0
export LC_ALL=C

fact() { # STATUS WHAT
    seen=$((seen + 1))
    [ "$1" -eq 0 ] || {
        echo "FAIL: $2"
        sed -n 1,8p err
        failed=$((failed + 1))
    }
}

build() { # COMPILER STANDARD FILE
    # shellcheck disable=SC2086 # CC may hold words
    $1 ${LOCI_TEST_SAN-} "-std=$2" -pedantic -Wall -Wextra -Wshadow -Werror -O1 -fPIC -fvisibility=hidden -shared \
        -Wl,-z,defs -I"$include" -o mem_delta.so "$3" -lm 2>err
}

# wrong WHAT SED-PROGRAM WORDS...: one of the words is said.
wrong() {
    local what=$1 word status=1
    sed "$2" good.c >delta.c
    if cmp -s good.c delta.c; then
        fact 1 "the mistake is not made: $what"
    elif build "$cc" c11 delta.c; then
        fact 1 "it compiles: $what"
    else
        shift 2
        for word in "$@"; do
            grep -q -- "$word" err && status=0
        done
        fact $status "none of the words ($*) for: $what"
    fi
}

sed -n '/A whole plugin, in delta.c/,/^ \* Built with/p' "$include/loci/rule.h" | sed '1d;$d' |
    sed 's/^ \*$//; s/^ \*     //' >good.c
grep -q 'LOCI_RULE_AGAIN("delta.c")' good.c
fact $? 'the manual holds a plugin called delta.c'

cp good.c delta.c
for std in c99 c11; do
    build "$cc" $std delta.c
    fact $? "the manual's plugin as $std"
done
[ "$(nm -D --defined-only mem_delta.so | awk '{print $NF}' | grep -v '^_')" = loci_plugin_v1 ]
fact $? 'it exports loci_plugin_v1 alone'
[ "$(grep -c '^#' good.c)" -le 25 ]
fact $? 'its frame is at most 25 lines'
sed 's/delta\.c/delta.cc/' good.c >delta.cc
build "$cxx" c++11 delta.cc
fact $? "the manual's plugin as c++11"

# All the tables at once: states that are learned, weights, keys, private memory, a refusal.
cp "$LOCI_TEST_SRC/examples/ttt_linear/ttt_linear.c" .
for std in c99 c11; do
    build "$cc" $std ttt_linear.c
    fact $? "examples/ttt_linear as $std"
done
sed 's/ttt_linear\.c"/ttt_linear.cc"/' ttt_linear.c >ttt_linear.cc
build "$cxx" c++11 ttt_linear.cc
fact $? 'examples/ttt_linear as c++11'

wrong 'no id' '/define LOCI_RULE_ID/d' '#define LOCI_RULE_ID'
wrong 'no states' '/define LOCI_RULE_STATES/d' '#define LOCI_RULE_STATES(X)'
wrong 'no summary' '/define LOCI_RULE_SUMMARY/d' '#define LOCI_RULE_SUMMARY'
wrong 'an id that is no literal' 's/define LOCI_RULE_ID .*/define LOCI_RULE_ID name/' 'name'
wrong 'no last line' '/LOCI_RULE_AGAIN/d' lacks_its_last_line
wrong 'the last line twice' '/LOCI_RULE_AGAIN/p' 'one rule in a file'
wrong 'a function that is missing' '/LOCI_NAME(read)(/,/^}/d' 'read_f32.* never defined' \
    'read_f32. has internal linkage' 'undefined reference to .read_f32'
wrong 'other parameters' 's/LOCI_NAME(read)(const loci_query/LOCI_NAME(read)(const loci_token/' 'conflicting types'
wrong 'a state written by a read' 's/y\[i\] = 0;/y[i] = m->M[i] = 0;/' 'read-only' 'const-qualified'
wrong 'an input written' 's/e += M\[x\] \* t->k\[x\]/t->k[x] = 0/' 'read-only' 'const-qualified'
wrong 'a gate that is not in the list' 's/t->beta \* e/t->theta * e/' 'no member named .theta'
wrong 'a state that is not in the list' 's/m->M + i/m->S + i/' 'no member named .S'
wrong 'a weight that is not in the list' 's/t->beta \* e/t->gain[i] * e/' 'no member named .gain'
wrong 'a weight written' 's/e += M\[x\] \* t->k\[x\]/t->gain[x] = 0/;/define LOCI_RULE_STATES/i #define LOCI_RULE_WEIGHTS(X) X(gain, 1, 0, r->dk)' \
    'read-only' 'const-qualified'
wrong 'weights before the id' '1i #define LOCI_RULE_WEIGHTS(X) X(gain, 1, 0, r->dk)
    /define LOCI_RULE_ID/d' '#define LOCI_RULE_ID'
wrong 'a type of its own' 's/const loci_real \*M = /const double *M = /' 'incompatible'
wrong 'a function without LOCI_NAME' '/include <loci/a static int half(void) { return 2; }' 'redefinition of .half'
wrong 'a key of no type' '/define LOCI_RULE_STATES/i #define LOCI_RULE_KEYS(X) X(FLOAT, c, "1", NULL, 0, 9, "c")' \
    'loci_rule_FLOAT'

echo "$seen facts, $failed do not hold"
[ "$failed" -eq 0 ] && [ "$seen" -gt 20 ]
