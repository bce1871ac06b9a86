libloci_la_SOURCES += %D%/data.c %D%/data.h %D%/source.h %D%/task.c %D%/task.h %D%/task_copy.c %D%/task_induction.c \
                      %D%/task_needle.c %D%/task_recall.c %D%/task_selective.c %D%/text.c
