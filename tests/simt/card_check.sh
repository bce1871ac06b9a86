#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# Every test of loci check over memories, mixers and compositions whose tensors are on the card that tests/simt runs.
set -u
LOCI_SIMT_LONG=1 exec bash "$(dirname "$0")/card.sh" components_pass_check_on_the_device
