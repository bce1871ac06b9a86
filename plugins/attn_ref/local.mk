# plugins/attn_ref: the class is a library of its own, so that tests can link it without the plugin's entry.
noinst_LTLIBRARIES += %D%/libattn_ref.la
%C%_libattn_ref_la_SOURCES = %D%/class.c %D%/call.c %D%/pair.c %D%/ref.c %D%/ref.h
%C%_libattn_ref_la_CPPFLAGS = $(PLUGIN_CPPFLAGS)
%C%_libattn_ref_la_CFLAGS = $(PLUGIN_CFLAGS)

plugin_LTLIBRARIES += %D%/attn_ref.la
%C%_attn_ref_la_SOURCES = %D%/plugin.c
%C%_attn_ref_la_CPPFLAGS = $(PLUGIN_CPPFLAGS)
%C%_attn_ref_la_CFLAGS = $(PLUGIN_CFLAGS)
%C%_attn_ref_la_LDFLAGS = $(PLUGIN_LDFLAGS)
%C%_attn_ref_la_LIBADD = %D%/libattn_ref.la -lm
EXTRA_DIST += %D%/README.md %D%/ref.tmpl

check_PROGRAMS += %D%/test_attn_ref %D%/test_attn_forms
%C%_test_attn_ref_SOURCES = %D%/test_attn_ref.c %D%/attn_naive.h %D%/attn_features.h %D%/attn_cases.h \
                            %D%/attn_results.h %D%/attn_tensor.h
%C%_test_attn_ref_LDADD = %D%/libattn_ref.la libloci.la $(CUNIT_LIBS) -lm
%C%_test_attn_forms_SOURCES = %D%/test_attn_forms.c
%C%_test_attn_forms_LDADD = %D%/libattn_ref.la libloci.la $(CUNIT_LIBS) -lm
