libloci_la_SOURCES += %D%/data.c %D%/data.h
