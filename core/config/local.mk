libloci_la_SOURCES += %D%/check.c %D%/conf.h %D%/config.h %D%/core_keys.c %D%/diff.c %D%/diff.h %D%/dump.c %D%/help.c \
                      %D%/keys.h %D%/layers.c %D%/lines.c %D%/name.c %D%/reader.c %D%/schema.c %D%/task_keys.c %D%/value.c \
                      %D%/view.c %D%/walk.c

check_PROGRAMS += tests/unit/test_config tests/unit/test_config_layers tests/fuzz/fuzz_config
tests_unit_test_config_SOURCES = tests/unit/test_config.c tests/unit/config_tools.h tests/ck.h
tests_unit_test_config_LDADD = libloci.la $(INIH_LIBS) $(CUNIT_LIBS) -lm
tests_unit_test_config_layers_SOURCES = tests/unit/test_config_layers.c tests/unit/config_tools.h tests/ck.h
tests_unit_test_config_layers_LDADD = libloci.la $(CUNIT_LIBS) -lm
tests_fuzz_fuzz_config_SOURCES = tests/fuzz/fuzz_config.c
tests_fuzz_fuzz_config_LDADD = libloci.la
EXTRA_DIST += tests/fuzz/config
