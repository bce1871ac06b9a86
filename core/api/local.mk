libloci_la_SOURCES += %D%/api.h %D%/engine.c %D%/learn.c %D%/settings.c %D%/training.c

check_PROGRAMS += tests/unit/test_api
tests_unit_test_api_SOURCES = tests/unit/test_api.c tests/ck.h
tests_unit_test_api_LDADD = libloci.la $(CUNIT_LIBS) -lm
