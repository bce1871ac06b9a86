# plugins/compose
plugin_LTLIBRARIES += %D%/compose.la
%C%_compose_la_SOURCES = %D%/children.c %D%/class.c %D%/gate.c %D%/mac.c %D%/mac.h %D%/mal.c %D%/once.c %D%/once.h %D%/parts.c %D%/parts.h %D%/retrieve.c \
                         %D%/rows.c %D%/segments.c
%C%_compose_la_CPPFLAGS = $(PLUGIN_CPPFLAGS)
%C%_compose_la_CFLAGS = $(PLUGIN_CFLAGS)
%C%_compose_la_LDFLAGS = $(PLUGIN_LDFLAGS)
%C%_compose_la_LIBADD = -lm
EXTRA_DIST += %D%/README.md

# The layer as a whole: mixer, memory and composition through the host.
check_PROGRAMS += tests/unit/test_layer
tests_unit_test_layer_SOURCES = tests/unit/test_layer.c tests/unit/layer.h tests/unit/layer_forms.h \
                                tests/ck.h
tests_unit_test_layer_LDADD = libloci.la $(CUNIT_LIBS) -lm
EXTRA_tests_unit_test_layer_DEPENDENCIES = $(test_plugins)

# What a token sees.
check_PROGRAMS += tests/unit/test_causality
tests_unit_test_causality_SOURCES = tests/unit/test_causality.c tests/unit/layer.h tests/unit/layer_forms.h tests/ck.h
tests_unit_test_causality_LDADD = libloci.la $(CUNIT_LIBS) -lm
EXTRA_tests_unit_test_causality_DEPENDENCIES = $(test_plugins)
