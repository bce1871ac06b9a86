#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# The longer tests of the CPU's scans on the card that tests/simt runs: equivalences, cuts, tails.
set -u
rc=0
for program in test_card_scan_same test_card_scan_l; do
    [ -x "$LOCI_TEST_BUILD/tests/simt/$program" ] || exit 77
    "$LOCI_TEST_BUILD/tests/simt/$program" || rc=1
done
exit $rc
