# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
#
# tests/cli/lib.sh: what the tests of the command share. A script is a list of facts: functions whose names say what
# holds. Each runs in a folder and a subshell of its own, so that one that fails does not spoil the next.
#
#     loci ARGUMENT...       run the command: leaves $rc, and standard output and error in ./out and ./err
#     exits N                the last exit code was N
#     says TEXT...           standard error holds each TEXT (a fixed string); `prints` asks standard output
#     same A B, differ A B   files have equal bytes, or not
#     json FILE STEP...      one value of a JSON file; see json.c
#     facts NAME...          run them, print what failed, exit with 0, 1, or 77 when all were skipped
#
# A check that fails says so, the fact goes on, and it counts as failed in the end.
set -u
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
: "${LOCI_TEST_SRC:=$(cd "$here/../.." && pwd)}" "${LOCI_TEST_BUILD:=$LOCI_TEST_SRC/build}"
: "${LOCI_COMMAND:=$LOCI_TEST_BUILD/loci}" "${LOCI_TEST_CC:=cc}"
export LC_ALL=C NO_COLOR=1
unset LOCI_SET LOCI_PLUGIN_PATH LOCI_CPU

if [ ! -x "$LOCI_COMMAND" ]; then
    echo "skipped: there is no command at $LOCI_COMMAND"
    exit 77
fi

work=$(mktemp -d "${TMPDIR:-/tmp}/loci-cli-XXXXXX")
only=${1-}
trap 'rm -rf "$work"' EXIT

# ---- checks ---------------------------------------------------------------------------------------------------------

bad() {
    printf '    %s\n' "$*"
    : >"$work/bad"
}

skip() {
    printf '%s\n' "$*" >"$work/skip"
    exit 77
}

loci() {
    rc=0
    "$LOCI_COMMAND" "$@" >out 2>err </dev/null || rc=$?
    last="loci $*"
    sanitized
}

# A sanitizer's report is a failure whatever the test asks.
sanitized() {
    if grep -qE 'ERROR: (Address|Leak|Thread)Sanitizer|runtime error:' err; then
        bad "$last: a sanitizer objects:"
        grep -E -A 12 'Sanitizer|runtime error:' err | head -30 | sed 's/^/      /'
    fi
}

exits() {
    [ "$rc" -eq "$1" ] || {
        bad "$last: exit code $rc, not $1"
        tail -n 4 err | sed 's/^/      /'
    }
}

has_all() { # FILE TEXT...
    local file=$1 text
    shift
    for text in "$@"; do
        grep -qF -- "$text" "$file" || {
            bad "$last: '$text' is not in $file:"
            tail -n 4 "$file" | sed 's/^/      /'
        }
    done
}
says() { has_all err "$@"; }
prints() { has_all out "$@"; }

lacks() { # FILE TEXT...
    local file=$1 text
    shift
    for text in "$@"; do
        ! grep -qF -- "$text" "$file" || bad "${last-}: '$text' is in $file"
    done
}

exists() {
    local f
    for f in "$@"; do
        [ -e "$f" ] || bad "${last-}: $f does not exist"
    done
}

absent() {
    local f
    for f in "$@"; do
        [ ! -e "$f" ] || bad "${last-}: $f exists"
    done
}

same() { cmp -s "$1" "$2" || bad "${last-}: $1 and $2 differ"; }
differ() { ! cmp -s "$1" "$2" || bad "${last-}: $1 and $2 do not differ"; }

is() { # WHAT GOT WANTED
    [ "$2" = "$3" ] || bad "$1 is '$2', not '$3'"
}

holds() { # WHAT AWK-EXPRESSION
    awk "BEGIN { exit !($2) }" </dev/null || bad "$1: not ($2)"
}

near() { # WHAT A B TOLERANCE
    awk -v a="$2" -v b="$3" -v t="$4" 'BEGIN { d = a - b; if (d < 0) d = -d; exit !(a ~ /[0-9]/ && b ~ /[0-9]/ && d <= t) }' ||
        bad "$1: $2 and $3 are further apart than $4"
}

# Weights and moments of two checkpoints.
same_bits() {
    same "$1/model.safetensors" "$2/model.safetensors"
    same "$1/optimizer.safetensors" "$2/optimizer.safetensors"
}

json() { "$work/.json" "$@"; }

newest() { # RUN: its newest checkpoint
    find "$1/checkpoints" -mindepth 1 -maxdepth 1 -name '[0-9]*' | sort | tail -n 1
}

await() { # SECONDS COMMAND...: wait until it succeeds
    local left=$(($1 * 50))
    shift
    until "$@" 2>/dev/null; do
        left=$((left - 1))
        [ "$left" -gt 0 ] || {
            bad "waited in vain for: $*"
            return 1
        }
        sleep 0.02
    done
}

# Start the command behind the scenes: $pid; finish: wait for it, as `loci` does.
start() {
    last="loci $*"
    env --default-signal=INT,HUP,TERM "$LOCI_COMMAND" "$@" >out 2>err </dev/null &
    pid=$!
}
finish() {
    rc=0
    wait "$pid" || rc=$?
    sanitized
}

# ---- material -------------------------------------------------------------------------------------------------------

# 60 KB of sentences that repeat, with a little noise: a model learns from them within a few steps.
make_text() {
    awk -v seed="${2:-1}" 'BEGIN {
        split("stone tree water bird king queen pawn rook river cloud", noun)
        split("old green small quiet bright heavy", kind)
        x = seed
        for (i = 0; i < 1200; i++) {
            x = (x * 1103 + 12345) % 65536
            printf "%d. the %s %s sees the %s, and the %s is %s.\n", i % 10, kind[1 + x % 6], noun[1 + int(x / 7) % 10], \
                noun[1 + int(x / 70) % 10], noun[1 + i % 10], kind[1 + i % 6]
        }
    }' >"$1"
}

make_config() { # FILE COMPOSITION: a model of seconds
    cat >"$1" <<-END
	[run]
	threads = 1
	[model]
	layers = 1
	dim = 32
	[mixer.mha]
	heads = 2
	[memory]
	backend = $([ "$2" = plain ] && echo none || echo titans)
	heads = 2
	[compose]
	backend = $2
	[data]
	train = $work/text
	seq_tok = 32
	[train]
	steps = 8
	batch = 2
	lr = 3e-3
	warmup = 2
	eval_every = 4
	eval_tokens = 1024
	save_every = 4
	log_every = 1
	END
}

# ---- an installed tree ----------------------------------------------------------------------------------------------

# `make install` into $root, a folder of this script, once. One script at a time, as libtool links again inside the
# build.
install_tree() {
    root=$work/.root
    [ ! -d "$root" ] || return 0
    command -v make flock >/dev/null || skip 'make and flock are not installed'
    env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL flock "$LOCI_TEST_BUILD/config.status" \
        make -C "$LOCI_TEST_BUILD" install DESTDIR="$root" >"$work/install.log" 2>&1 || {
        bad 'make install fails'
        tail -n 15 "$work/install.log" | sed 's/^/      /'
    }
}

# The folder of a file of the installed tree.
installed_at() {
    dirname "$(find "$root" -name "$1" -path "$2" | head -n 1)"
}

# Run a command with nothing of this environment but what finds the installed tree.
installed() {
    env -i PATH="$(installed_at loci '*/bin/*'):/usr/local/bin:/usr/bin:/bin" HOME="$PWD" LC_ALL=C NO_COLOR=1 \
        CC="$LOCI_TEST_CC" PKG_CONFIG_PATH="$(installed_at loci.pc '*/pkgconfig/*')" PKG_CONFIG_SYSROOT_DIR="$root" \
        LOCI_PLUGIN_PATH="$(installed_at mem_none.so '*')" ASAN_OPTIONS="${ASAN_OPTIONS-}" \
        UBSAN_OPTIONS="${UBSAN_OPTIONS-}" "$@"
}

# ---- the script -----------------------------------------------------------------------------------------------------

facts() {
    local fact failed=0 passed=0 skipped=0
    # shellcheck disable=SC2046,SC2086 # CC may hold words, pkg-config prints words
    $LOCI_TEST_CC -o "$work/.json" "$here/json.c" $(pkg-config --cflags --libs jansson 2>/dev/null || echo -ljansson) || exit 1
    make_text "$work/text"
    for fact in "$@"; do
        [ -z "$only" ] || [ "$only" = "$fact" ] || continue
        mkdir "$work/$fact"
        rm -f "$work/bad" "$work/skip"
        (
            cd "$work/$fact" || exit 1
            last=''
            "$fact"
        )
        case $? in
        77) [ -e "$work/skip" ] || : >"$work/bad" ;;
        *) ;;
        esac
        if [ -e "$work/bad" ]; then
            echo "FAIL: $fact"
            failed=$((failed + 1))
        elif [ -e "$work/skip" ]; then
            echo "skip: $fact: $(cat "$work/skip")"
            skipped=$((skipped + 1))
        else
            echo "ok: $fact"
            passed=$((passed + 1))
        fi
        rm -rf "${work:?}/$fact"
    done
    echo "facts: $passed hold, $failed do not, $skipped skipped"
    [ $failed -eq 0 ] || exit 1
    [ $passed -gt 0 ] || exit 77
    exit 0
}
