# core/plugin
libloci_la_SOURCES += \
    %D%/registry.c %D%/registry.h %D%/table.c %D%/table.h %D%/select.c %D%/paths.c \
    %D%/load.c %D%/load.h %D%/manners.c %D%/manners.h %D%/verify.c %D%/keys.c \
    %D%/look.c %D%/look.h %D%/policy.c %D%/policy.h %D%/elf.c %D%/elf.h %D%/dynamic.c %D%/note.c %D%/note.h \
    %D%/isolate.c %D%/isolate.h

include tests/bad/local.mk

check_PROGRAMS += tests/unit/test_plugin tests/unit/test_registry tests/unit/test_classes
tests_unit_test_plugin_SOURCES = tests/unit/test_plugin.c tests/bad/bad.h tests/ck.h
tests_unit_test_plugin_LDADD = libloci.la $(CUNIT_LIBS) -lm
EXTRA_tests_unit_test_plugin_DEPENDENCIES = $(bad_plugins)
tests_unit_test_registry_SOURCES = tests/unit/test_registry.c tests/bad/bad.h tests/ck.h
tests_unit_test_registry_LDADD = libloci.la $(CUNIT_LIBS) -lm
EXTRA_tests_unit_test_registry_DEPENDENCIES = $(bad_plugins)
tests_unit_test_classes_SOURCES = tests/unit/test_classes.c tests/bad/bad.h tests/ck.h
tests_unit_test_classes_LDADD = libloci.la $(CUNIT_LIBS) -lm
EXTRA_tests_unit_test_classes_DEPENDENCIES = $(bad_plugins)
