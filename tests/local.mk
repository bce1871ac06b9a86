# SPDX-License-Identifier: Apache-2.0
#
# tests/: what is not beside the part it tests. A CUnit program is registered by its part's local.mk; shell tests here.
# A shell test is listed, marked executable, exits 0, 1, or 77 when it must be skipped, and finds in its environment
# LOCI_TEST_SRC, LOCI_TEST_BUILD, LOCI_TEST_PLUGINS (folder of built plugins), LOCI_COMMAND (the built command), LOCI_TEST_CC.
noinst_HEADERS = %D%/ck.h %D%/folder.h

EXTRA_DIST += %D%/unit/headers_use.inc
dist_check_SCRIPTS += %D%/unit/headers.sh %D%/unit/one_symbol.sh %D%/unit/rule_text.sh \
                      %D%/unit/shell.sh
include %D%/plugins/local.mk
include %D%/cli/local.mk
include %D%/abi/local.mk
include %D%/simt/local.mk

# Rules written with loci/rule.h, for tests: see rules.h.
rule_refs = %D%/unit/rules/matrix.c %D%/unit/rules/wide.c %D%/unit/rules/rules.h
check_PROGRAMS += %D%/unit/test_rule %D%/unit/test_rule_pairs
%C%_unit_test_rule_SOURCES = %D%/unit/test_rule.c $(rule_refs) $(suite_parts)
%C%_unit_test_rule_LDADD = libloci.la $(CUNIT_LIBS) -lm
%C%_unit_test_rule_pairs_SOURCES = %D%/unit/test_rule_pairs.c $(rule_refs) $(suite_parts)
%C%_unit_test_rule_pairs_LDADD = libloci.la $(CUNIT_LIBS) -lm

# The example plugins through the suite of memory rules.
check_PROGRAMS += %D%/unit/test_outside %D%/unit/test_outside_bare %D%/unit/test_ttt
%C%_unit_test_outside_SOURCES = %D%/unit/test_outside.c examples/outside/oja.c $(suite_parts)
%C%_unit_test_outside_LDADD = libloci.la $(CUNIT_LIBS) -lm
%C%_unit_test_outside_bare_SOURCES = %D%/unit/test_outside_bare.c examples/outside/oja_bare.c $(suite_parts)
%C%_unit_test_outside_bare_LDADD = libloci.la $(CUNIT_LIBS) -lm
%C%_unit_test_ttt_SOURCES = %D%/unit/test_ttt.c examples/ttt_linear/ttt_linear.c $(suite_parts)
%C%_unit_test_ttt_LDADD = libloci.la $(CUNIT_LIBS) -lm
