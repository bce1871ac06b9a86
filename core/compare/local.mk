libloci_la_SOURCES += %D%/arms.c %D%/compare.c %D%/compare.h %D%/curves.c %D%/curves.h %D%/stats.c %D%/stats.h %D%/write.c

check_PROGRAMS += tests/unit/test_stats
tests_unit_test_stats_SOURCES = tests/unit/test_stats.c tests/ck.h
tests_unit_test_stats_LDADD = libloci.la $(CUNIT_LIBS) -lm
