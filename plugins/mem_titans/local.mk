# plugins/mem_titans: the rule of Titans over the device's loci.scan/1 and loci.ops/1.
mem_titans_sources = %D%/titans.c %D%/titans.h %D%/deep.c %D%/deep.h %D%/deep_mat.c %D%/deep_coef.c \
                     %D%/deep_band.c %D%/deep_chunk.c %D%/deep_back.c %D%/keep.c $(matrix_scan)
plugin_LTLIBRARIES += %D%/mem_titans.la
%C%_mem_titans_la_SOURCES = $(mem_titans_sources)
%C%_mem_titans_la_CPPFLAGS = $(PLUGIN_CPPFLAGS)
%C%_mem_titans_la_CFLAGS = $(PLUGIN_CFLAGS)
%C%_mem_titans_la_LDFLAGS = $(PLUGIN_LDFLAGS)
%C%_mem_titans_la_LIBADD = -lm
EXTRA_DIST += %D%/README.md

check_PROGRAMS += %D%/test_titans %D%/test_titans_cases %D%/test_deep %D%/test_deep_more
%C%_test_titans_SOURCES = %D%/test_titans.c $(mem_titans_sources) $(suite_parts)
%C%_test_titans_LDADD = libloci.la $(CUNIT_LIBS) -lm
%C%_test_titans_cases_SOURCES = %D%/test_titans_cases.c $(mem_titans_sources) $(rule_parts)
%C%_test_titans_cases_LDADD = libloci.la $(CUNIT_LIBS) -lm
%C%_test_deep_SOURCES = %D%/test_deep.c %D%/deep_formula.h $(mem_titans_sources) $(suite_parts)
%C%_test_deep_LDADD = libloci.la $(CUNIT_LIBS) -lm
%C%_test_deep_more_SOURCES = %D%/test_deep_more.c %D%/deep_formula.h $(mem_titans_sources) $(suite_parts)
%C%_test_deep_more_LDADD = libloci.la $(CUNIT_LIBS) -lm
