# plugins/mem_none: memories that remember nothing.
plugin_LTLIBRARIES += %D%/mem_none.la
%C%_mem_none_la_SOURCES = %D%/none.c
%C%_mem_none_la_CPPFLAGS = $(PLUGIN_CPPFLAGS)
%C%_mem_none_la_CFLAGS = $(PLUGIN_CFLAGS)
%C%_mem_none_la_LDFLAGS = $(PLUGIN_LDFLAGS)
EXTRA_DIST += %D%/README.md

check_PROGRAMS += %D%/test_none
%C%_test_none_SOURCES = %D%/test_none.c %D%/none.c $(rule_parts)
%C%_test_none_LDADD = libloci.la $(CUNIT_LIBS) -lm
