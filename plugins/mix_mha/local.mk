# plugins/mix_mha
plugin_LTLIBRARIES += %D%/mix_mha.la
%C%_mix_mha_la_SOURCES = %D%/mha.c %D%/mha.h %D%/call.c %D%/lane.c %D%/layout.c
%C%_mix_mha_la_CPPFLAGS = $(PLUGIN_CPPFLAGS)
%C%_mix_mha_la_CFLAGS = $(PLUGIN_CFLAGS)
%C%_mix_mha_la_LDFLAGS = $(PLUGIN_LDFLAGS)
%C%_mix_mha_la_LIBADD = -lm
EXTRA_DIST += %D%/README.md

check_PROGRAMS += plugins/mix_mha/test_mix_mha
plugins_mix_mha_test_mix_mha_SOURCES = %D%/test_mix_mha.c tests/unit/layer.h tests/ck.h
plugins_mix_mha_test_mix_mha_LDADD = libloci.la $(CUNIT_LIBS) -lm
