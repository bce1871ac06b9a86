# plugins/mem_hebbian: linear attention as a memory over the device's loci.scan/1.
plugin_LTLIBRARIES += %D%/mem_hebbian.la
%C%_mem_hebbian_la_SOURCES = %D%/hebbian.c $(matrix_parts)
%C%_mem_hebbian_la_CPPFLAGS = $(PLUGIN_CPPFLAGS)
%C%_mem_hebbian_la_CFLAGS = $(PLUGIN_CFLAGS)
%C%_mem_hebbian_la_LDFLAGS = $(PLUGIN_LDFLAGS)
%C%_mem_hebbian_la_LIBADD = -lm
EXTRA_DIST += %D%/README.md

check_PROGRAMS += %D%/test_hebbian
%C%_test_hebbian_SOURCES = %D%/test_hebbian.c %D%/hebbian.c $(matrix_parts) $(suite_parts)
%C%_test_hebbian_LDADD = libloci.la $(CUNIT_LIBS) -lm
