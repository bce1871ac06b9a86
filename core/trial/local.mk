libloci_la_SOURCES += \
    %D%/arena.c %D%/arena.h %D%/attention.c %D%/call.c %D%/cut.c %D%/fill.c %D%/impl.h %D%/place.c %D%/ports.c \
    %D%/run.c %D%/run.h %D%/slab.c %D%/states.c %D%/trial.c %D%/trial.h

check_PROGRAMS += tests/unit/test_trial
tests_unit_test_trial_SOURCES = tests/unit/test_trial.c tests/ck.h
tests_unit_test_trial_LDADD = libloci.la $(CUNIT_LIBS) -lm
