libloci_la_SOURCES += \
    %D%/checkpoint.c %D%/evaluate.c %D%/folder.c %D%/folder.h %D%/machine.c %D%/machine.h %D%/optim.c %D%/restore.c \
    %D%/restore.h %D%/run.c %D%/score.c %D%/score.h %D%/train.h

check_PROGRAMS += tests/unit/test_train
tests_unit_test_train_SOURCES = tests/unit/test_train.c tests/ck.h
tests_unit_test_train_LDADD = libloci.la $(CUNIT_LIBS) -lm

# what gates and memories do while a model reads
libloci_la_SOURCES += %D%/probe.c %D%/probe.h
check_PROGRAMS += tests/unit/test_probe
tests_unit_test_probe_SOURCES = tests/unit/test_probe.c tests/ck.h
tests_unit_test_probe_LDADD = libloci.la $(CUNIT_LIBS) -lm
