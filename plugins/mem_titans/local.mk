# plugins/mem_titans: the rule of Titans over the device's loci.scan/1.
plugin_LTLIBRARIES += %D%/mem_titans.la
%C%_mem_titans_la_SOURCES = %D%/titans.c
%C%_mem_titans_la_CPPFLAGS = $(PLUGIN_CPPFLAGS)
%C%_mem_titans_la_CFLAGS = $(PLUGIN_CFLAGS)
%C%_mem_titans_la_LDFLAGS = $(PLUGIN_LDFLAGS)
%C%_mem_titans_la_LIBADD = -lm
EXTRA_DIST += %D%/README.md

check_PROGRAMS += %D%/test_titans %D%/test_titans_cases
%C%_test_titans_SOURCES = %D%/test_titans.c %D%/titans.c $(suite_parts)
%C%_test_titans_LDADD = libloci.la $(CUNIT_LIBS) -lm
%C%_test_titans_cases_SOURCES = %D%/test_titans_cases.c %D%/titans.c $(rule_parts)
%C%_test_titans_cases_LDADD = libloci.la $(CUNIT_LIBS) -lm
