# core/check
libloci_la_SOURCES += \
    %D%/check.h %D%/tests.inc %D%/list.c %D%/run.c %D%/open.c %D%/open.h %D%/isolate.c %D%/isolate.h \
    %D%/file.c %D%/class.c %D%/fit.c %D%/life.c %D%/life.h %D%/ledger.c %D%/ledger.h %D%/watch.c %D%/watch.h \
    %D%/words.c %D%/words.h %D%/keys.c %D%/misuse.c %D%/plan.c %D%/probe.c %D%/probe.h
libloci_la_SOURCES += \
    %D%/numbers.inc %D%/subject.c %D%/subject.h %D%/left.c %D%/slope.c %D%/slope.h %D%/gradient.c %D%/cuts.c %D%/apart.c \
    %D%/stream.c %D%/ops.c %D%/exact.c %D%/oracle.c %D%/oracle.h %D%/attn.c %D%/attn.h %D%/attn_features.c \
    %D%/same.c %D%/shapes.c
