#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# What runs out: the disk, the largest file, the memory. The command says so, exits with its code, leaves no part of a
# checkpoint, keeps the one before, and goes on when there is room again.
# shellcheck disable=SC2016,SC2086,SC2317 # messages hold backquotes; lists are words; facts are called by their names
# shellcheck source=tests/cli/lib.sh
. "$(dirname "$0")/lib.sh"

# A file system of that size at ./disk; unmounted when the fact ends.
small_disk() { # SIZE
    mkdir disk
    mount -t tmpfs -o "size=$1" loci-test disk 2>mount.err || skip "mounting a tmpfs needs privileges: $(cat mount.err)"
    trap 'umount -l "$PWD/disk"' EXIT
}

no_parts() { # RUN CHECKPOINT...: these and nothing else
    local run=$1
    shift
    is "checkpoints of $run" "$(find "$run/checkpoints" -mindepth 1 -maxdepth 1 -printf '%f\n' 2>/dev/null | sort | tr '\n' ' ')" "$*${*:+ }"
}

a_full_disk_keeps_the_checkpoint_before() {
    small_disk 420k # a checkpoint of this model has 270 KB
    make_config c.ini plain
    loci train -c c.ini --set run.dir=whole
    loci train -c c.ini --set run.dir=disk/r
    exits 5
    says disk/r/checkpoints 'disk is full'
    no_parts disk/r 0000000004
    loci eval disk/r
    exits 0
    prints 'step 4'
    mount -o remount,size=2m disk
    loci train -c c.ini --set run.dir=disk/r --resume
    exits 0
    same_bits whole/checkpoints/0000000008 disk/r/checkpoints/0000000008
    json -l disk/r/log.jsonl loss_nats >got
    json -l whole/log.jsonl loss_nats >wanted
    same got wanted
}

a_disk_too_small_for_any_checkpoint_is_said_at_the_first() {
    small_disk 100k
    make_config c.ini plain
    loci train -c c.ini --set run.dir=disk/r
    exits 5
    says 'disk is full'
    no_parts disk/r
    mount -o remount,size=2m disk
    loci train -c c.ini --set run.dir=disk/r --resume
    exits 0
}

a_disk_without_room_for_the_log_is_said() {
    small_disk 64k
    make_config c.ini plain
    dd if=/dev/zero of=disk/filler bs=1k count=52 2>dd.err
    loci train -c c.ini --set run.dir=disk/r --set train.steps=200 --set train.save_every=0
    exits 5
    says disk/r/log.jsonl
    grep -qE 'No space left on device|disk is full' err || bad "a full log: $(tail -n 1 err)"
    rm disk/filler
    mount -o remount,size=2m disk
    loci train -c c.ini --set run.dir=disk/r --set train.steps=200 --set train.save_every=0 --resume
    exits 0
    is 'steps in the log' "$(json -l disk/r/log.jsonl event | grep -c step)" 200
}

a_disk_that_cannot_be_written_is_said() {
    small_disk 2m
    make_config c.ini plain
    loci train -c c.ini --set run.dir=disk/r
    exits 0
    mount -o remount,ro disk
    loci train -c c.ini --set run.dir=disk/s
    exits 5
    says disk/s 'Read-only file system'
    loci eval disk/r
    exits 0
}

# The same without privileges: files may not grow beyond 60 KB (of 1024-byte blocks), and the signal for it is ignored.
a_file_that_may_not_grow_is_like_a_full_disk() {
    make_config c.ini plain
    last='ulimit -f 60; loci train'
    rc=0
    (
        trap '' XFSZ
        ulimit -f 60
        exec "$LOCI_COMMAND" train -c c.ini --set run.dir=r
    ) >out 2>err || rc=$?
    exits 5
    says model.safetensors 'File too large'
    no_parts r
    loci train -c c.ini --set run.dir=r --resume
    exits 0
}

memory_that_ends_is_a_status_and_no_crash() {
    local kib
    [ -z "${LOCI_TEST_SAN-}" ] || skip 'AddressSanitizer needs the address space'
    make_config c.ini plain
    for kib in 100000 150000 200000 300000; do
        last="ulimit -v $kib; loci train"
        rc=0
        (
            ulimit -v $kib
            exec "$LOCI_COMMAND" train -c c.ini --set run.dir=r --set train.batch=256 --set data.seq_tok=256 --set model.dim=128
        ) >out 2>err || rc=$?
        case $rc in
        8) absent r/checkpoints ;;
        127) ;; # not even the libraries fit
        *) exits 8 ;;
        esac
        rm -rf r
    done
    [ "$rc" -eq 8 ] || bad "the last limit does not reach the command: exit code $rc"
}

facts a_full_disk_keeps_the_checkpoint_before a_disk_too_small_for_any_checkpoint_is_said_at_the_first \
    a_disk_without_room_for_the_log_is_said a_disk_that_cannot_be_written_is_said \
    a_file_that_may_not_grow_is_like_a_full_disk memory_that_ends_is_a_status_and_no_crash
