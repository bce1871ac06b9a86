# plugins/mix_gla
plugin_LTLIBRARIES += %D%/mix_gla.la
%C%_mix_gla_la_SOURCES = %D%/gla.c %D%/gla.h %D%/call.c %D%/layout.c
%C%_mix_gla_la_CPPFLAGS = $(PLUGIN_CPPFLAGS)
%C%_mix_gla_la_CFLAGS = $(PLUGIN_CFLAGS)
%C%_mix_gla_la_LDFLAGS = $(PLUGIN_LDFLAGS)
%C%_mix_gla_la_LIBADD = -lm
EXTRA_DIST += %D%/README.md %D%/gla_ref.tmpl

check_PROGRAMS += plugins/mix_gla/test_mix_gla
plugins_mix_gla_test_mix_gla_SOURCES = %D%/test_mix_gla.c tests/unit/layer.h tests/ck.h
plugins_mix_gla_test_mix_gla_LDADD = libloci.la $(CUNIT_LIBS) -lm
