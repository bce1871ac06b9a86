libloci_la_SOURCES += %D%/html.c %D%/index.c %D%/index.h %D%/lines.h %D%/log.c %D%/log.h %D%/pipe.c %D%/pipe.h \
                      %D%/plot.c %D%/plot.h %D%/report.h %D%/scan.c %D%/style.h %D%/verdict.c

check_PROGRAMS += tests/unit/test_log tests/unit/test_report
tests_unit_test_log_SOURCES = tests/unit/test_log.c tests/ck.h
tests_unit_test_log_LDADD = libloci.la $(JANSSON_LIBS) $(CUNIT_LIBS) -lm
tests_unit_test_report_SOURCES = tests/unit/test_report.c tests/ck.h
tests_unit_test_report_LDADD = libloci.la $(CUNIT_LIBS) -lm
