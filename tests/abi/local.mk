# SPDX-License-Identifier: Apache-2.0
#
# tests/abi: what guards the plugin ABI: its ledger, and a golden plugin per kind with a host that compares. See
# docs/design/abi.md.
golden_plugins = %D%/golden_attention.so %D%/golden_mixer.so %D%/golden_memory.so %D%/golden_compose.so \
                 %D%/golden_device.so
golden_parts   = %D%/golden.h %D%/golden_parts.h %D%/golden_ops.h %D%/golden_scan.h
$(golden_plugins): $(golden_parts) include/loci/plugin.h include/loci/ops.h include/loci/scan.h include/loci/device.h \
                   include/loci/author.h
CLEANFILES += $(golden_plugins)
EXTRA_DIST += $(golden_plugins:.so=.c) $(golden_parts) %D%/assert.h %D%/grow.awk

# It sees the public headers only, as the plugins do. The scripts run it; alone it is no test.
EXTRA_PROGRAMS += %D%/golden_host
CLEANFILES += %D%/golden_host$(EXEEXT)
# Nothing of ours: neither the library nor the default of tests/simt.
%C%_golden_host_LDADD =
%C%_golden_host_SOURCES = %D%/golden_host.c %D%/golden_fill.h %D%/golden_services.h \
                              %D%/golden_tables.h %D%/witness.h

check_PROGRAMS += %D%/test_golden
%C%_test_golden_SOURCES = %D%/test_golden.c tests/ck.h
%C%_test_golden_LDADD = libloci.la $(CUNIT_LIBS) -lm
EXTRA_%C%_test_golden_DEPENDENCIES = $(golden_plugins) %D%/golden_host$(EXEEXT)

LONG_TESTS += %D%/growth.sh
dist_check_SCRIPTS += %D%/ledger.sh %D%/golden.sh %D%/guards.sh %D%/report.sh

# What abidiff says of the headers, for release notes: make abi-report BASE=REVISION.
abi-report:
	@cd "$(srcdir)" && CC='$(CC)' scripts/abi-report $(BASE)
.PHONY: abi-report
