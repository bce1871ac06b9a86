libloci_la_SOURCES += %D%/html.c %D%/index.c %D%/index.h %D%/lines.h %D%/log.c %D%/log.h %D%/pipe.c %D%/pipe.h \
	%D%/plot.c %D%/plot.h %D%/report.h %D%/scan.c %D%/verdict.c

check_PROGRAMS += tests/unit/test_report
tests_unit_test_report_SOURCES = tests/unit/test_report.c tests/ck.h
tests_unit_test_report_LDADD = libloci.la $(CUNIT_LIBS) $(JANSSON_LIBS) $(SQLITE_LIBS) -lm
