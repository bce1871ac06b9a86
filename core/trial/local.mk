libloci_la_SOURCES += \
    %D%/arena.c %D%/arena.h %D%/attention.c %D%/call.c %D%/cut.c %D%/fill.c %D%/impl.h %D%/place.c %D%/ports.c \
    %D%/run.c %D%/run.h %D%/slab.c %D%/states.c %D%/trial.c %D%/trial.h

trial_rig = tests/unit/trial_rig.h tests/ck.h
check_PROGRAMS += tests/unit/test_trial tests/unit/test_trial_attn tests/unit/test_trial_harsh
tests_unit_test_trial_SOURCES = tests/unit/test_trial.c $(trial_rig)
tests_unit_test_trial_LDADD = libloci.la $(CUNIT_LIBS) -lm
tests_unit_test_trial_attn_SOURCES = tests/unit/test_trial_attn.c $(trial_rig)
tests_unit_test_trial_attn_LDADD = libloci.la $(CUNIT_LIBS) -lm
tests_unit_test_trial_harsh_SOURCES = tests/unit/test_trial_harsh.c $(trial_rig)
tests_unit_test_trial_harsh_LDADD = libloci.la $(CUNIT_LIBS) -lm
