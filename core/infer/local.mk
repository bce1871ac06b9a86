libloci_la_SOURCES += %D%/draw.c %D%/infer.h %D%/stream.c %D%/stream_file.c

check_PROGRAMS += tests/unit/test_draw tests/unit/test_stream
tests_unit_test_draw_SOURCES = tests/unit/test_draw.c tests/ck.h
tests_unit_test_draw_LDADD = libloci.la $(CUNIT_LIBS) -lm
tests_unit_test_stream_SOURCES = tests/unit/test_stream.c tests/ck.h
tests_unit_test_stream_LDADD = libloci.la $(CUNIT_LIBS) -lm
