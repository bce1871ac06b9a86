# SPDX-License-Identifier: Apache-2.0
#
# tests/: what is not beside the part it tests. A CUnit program is registered by its part's local.mk; shell tests here.
# A shell test is listed, marked executable, exits 0, 1, or 77 when it must be skipped, and finds in its environment
# LOCI_TEST_SRC, LOCI_TEST_BUILD, LOCI_TEST_PLUGINS (folder of built plugins), LOCI_COMMAND (the built command), LOCI_TEST_CC.
noinst_HEADERS = %D%/ck.h

dist_check_SCRIPTS += %D%/unit/headers.sh %D%/unit/one_symbol.sh %D%/unit/shell.sh
include %D%/plugins/local.mk
include %D%/cli/local.mk
