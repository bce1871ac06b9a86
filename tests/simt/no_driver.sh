#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# The plugin attn_cuda as it is built for a card, on a machine without a driver: it loads, and says why it declines; the
# device named is an error with the remedy, auto goes on without it. With a driver there is nothing to see here:
# scripts/gpu-check is for that machine.
# shellcheck disable=SC2317 # facts are called by their names
# shellcheck source=tests/cli/lib.sh
. "$(dirname "$0")/../cli/lib.sh"

plugin=$LOCI_TEST_BUILD/plugins/attn_cuda/.libs/attn_cuda.so
if [ ! -f "$plugin" ]; then
    echo "skipped: the plugin is not built: configure --with-cuda"
    exit 77
fi
if [ -e /dev/nvidiactl ] || ldconfig -p 2>/dev/null | grep -q 'libcuda\.so\.1'; then
    echo "skipped: there is a driver"
    exit 77
fi
why='no NVIDIA driver is loaded'

config() {
    cp "$LOCI_TEST_SRC/README.md" text
    cat >c.ini <<END
[model]
layers = 1
dim = 32
[compose]
backend = plain
[data]
train = text
seq_tok = 16
valid_fraction = 0.02
[train]
steps = 1
batch = 2
END
}

it_links_no_library_of_cuda() {
    if command -v readelf >/dev/null; then
        readelf -d "$plugin" >needed
        lacks needed libcuda libcublas libnvrtc
    fi
}

it_is_listed_with_both_classes() {
    loci list
    exits 0
    prints 'device/cuda' 'attention/cuda'
    loci info attention/cuda
    exits 4
    says "device cuda: not used: $why" 'cuda runs on the device cuda only'
}

explain_and_doctor_say_why_it_declines() {
    config
    loci explain -c c.ini
    exits 0
    prints 'device       cpu' "cuda (0: $why"
    loci doctor
    says "device cuda: not used: $why"
}

auto_goes_on_and_says_so() {
    config
    loci train -c c.ini --set run.dir=r
    exits 0
    says "device cuda: not used: $why"
}

the_device_named_is_an_error_with_the_remedy() {
    config
    loci train -c c.ini --set run.dir=r --set run.device=cuda
    exits 4
    says '--set: run.device = cuda, but' "$why" 'run.device = auto goes on without it'
    absent r/log.jsonl
}

the_attention_named_is_an_error_that_says_where_it_runs() {
    config
    loci train -c c.ini --set run.dir=r --set attention.backend=cuda
    exits 4
    says 'cuda runs on the device cuda only'
}

check_skips_what_needs_the_card() {
    loci check attention/cuda --only 'attn.*'
    prints 'skip' "$why"
    loci check "$plugin" --level 1
    exits 0
    prints "$why"
}

facts it_links_no_library_of_cuda it_is_listed_with_both_classes explain_and_doctor_say_why_it_declines \
    auto_goes_on_and_says_so the_device_named_is_an_error_with_the_remedy \
    the_attention_named_is_an_error_that_says_where_it_runs check_skips_what_needs_the_card
