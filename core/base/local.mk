libloci_la_SOURCES += %D%/base.c %D%/base.h

check_PROGRAMS += tests/unit/test_base
tests_unit_test_base_SOURCES = tests/unit/test_base.c tests/ck.h
tests_unit_test_base_LDADD = libloci.la $(CUNIT_LIBS) -lm
