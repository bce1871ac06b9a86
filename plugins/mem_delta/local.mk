# plugins/mem_delta: the (gated) delta rule over the device's loci.scan/1.
plugin_LTLIBRARIES += %D%/mem_delta.la
%C%_mem_delta_la_SOURCES = %D%/delta.c $(matrix_parts)
%C%_mem_delta_la_CPPFLAGS = $(PLUGIN_CPPFLAGS)
%C%_mem_delta_la_CFLAGS = $(PLUGIN_CFLAGS)
%C%_mem_delta_la_LDFLAGS = $(PLUGIN_LDFLAGS)
%C%_mem_delta_la_LIBADD = -lm
EXTRA_DIST += %D%/README.md

check_PROGRAMS += %D%/test_delta
%C%_test_delta_SOURCES = %D%/test_delta.c %D%/delta.c $(matrix_parts) $(suite_parts)
%C%_test_delta_LDADD = libloci.la $(CUNIT_LIBS) -lm
