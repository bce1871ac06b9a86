# SPDX-License-Identifier: Apache-2.0
#
# tests/plugins: components that only tests use, as tests/plugins/NAME.so of the build tree, by the rule of tests/bad.
test_plugins = %D%/sums.so
$(test_plugins): include/loci/plugin.h include/loci/author.h
CLEANFILES += $(test_plugins)
EXTRA_DIST += $(test_plugins:.so=.c)
