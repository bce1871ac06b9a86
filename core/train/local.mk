libloci_la_SOURCES += \
    %D%/checkpoint.c %D%/evaluate.c %D%/folder.c %D%/folder.h %D%/machine.c %D%/machine.h %D%/optim.c %D%/restore.c \
    %D%/restore.h %D%/run.c %D%/train.h
