# core/check
libloci_la_SOURCES += \
    %D%/check.h %D%/tests.inc %D%/list.c %D%/run.c %D%/open.c %D%/open.h \
    %D%/file.c %D%/class.c %D%/device.c %D%/fit.c %D%/hard.c %D%/life.c %D%/life.h %D%/ledger.c %D%/ledger.h %D%/watch.c %D%/watch.h \
    %D%/words.c %D%/words.h %D%/keys.c %D%/misuse.c %D%/plan.c %D%/probe.c %D%/probe.h
libloci_la_SOURCES += \
    %D%/numbers.inc %D%/subject.c %D%/subject.h %D%/left.c %D%/slope.c %D%/slope.h %D%/gradient.c %D%/cuts.c %D%/apart.c \
    %D%/stream.c %D%/ops.c %D%/exact.c %D%/oracle.c %D%/oracle.h %D%/attn.c %D%/attn.h %D%/attn_features.c %D%/attn_nan.c \
    %D%/shapes.c

check_PROGRAMS += tests/unit/test_check
tests_unit_test_check_SOURCES = tests/unit/test_check.c tests/bad/bad.h tests/ck.h
tests_unit_test_check_LDADD = libloci.la $(CUNIT_LIBS) -lm
EXTRA_tests_unit_test_check_DEPENDENCIES = $(bad_plugins)

check_PROGRAMS += tests/unit/test_numbers
tests_unit_test_numbers_SOURCES = tests/unit/test_numbers.c
tests_unit_test_numbers_LDADD = libloci.la $(CUNIT_LIBS) -lm
