libloci_la_SOURCES += %D%/data.c %D%/data.h %D%/source.h %D%/task.c %D%/task.h %D%/task_copy.c %D%/task_induction.c \
                      %D%/task_needle.c %D%/task_recall.c %D%/task_selective.c %D%/text.c

check_PROGRAMS += tests/unit/test_task
tests_unit_test_task_SOURCES = tests/unit/test_task.c tests/ck.h
tests_unit_test_task_LDADD = libloci.la $(CUNIT_LIBS) -lm
