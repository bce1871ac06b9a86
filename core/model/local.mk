libloci_la_SOURCES += \
    %D%/answers.c %D%/call.c %D%/fault.c %D%/ffn.c %D%/head.c %D%/layer.c %D%/cache.c %D%/context.c %D%/declare.c %D%/front.c %D%/front_call.c %D%/front.h %D%/model.c \
    %D%/model.h %D%/node.c %D%/node.h %D%/node_impl.h %D%/pass.c %D%/pass.h %D%/promise.c %D%/step.c %D%/state.c %D%/tools.c %D%/tools.h %D%/weights.c

check_PROGRAMS += tests/unit/test_model
tests_unit_test_model_SOURCES = tests/unit/test_model.c tests/unit/model.h tests/ck.h
tests_unit_test_model_LDADD = libloci.la $(CUNIT_LIBS) -lm
check_PROGRAMS += tests/unit/test_model_gradients
tests_unit_test_model_gradients_SOURCES = tests/unit/test_model_gradients.c tests/unit/model.h tests/ck.h
tests_unit_test_model_gradients_LDADD = libloci.la $(CUNIT_LIBS) -lm

check_PROGRAMS += tests/unit/test_promises
tests_unit_test_promises_SOURCES = tests/unit/test_promises.c tests/unit/layer.h tests/ck.h
tests_unit_test_promises_LDADD = libloci.la $(CUNIT_LIBS) -lm
EXTRA_tests_unit_test_promises_DEPENDENCIES = $(test_plugins)

check_PROGRAMS += tests/unit/test_gates
tests_unit_test_gates_SOURCES = tests/unit/test_gates.c tests/unit/layer.h tests/unit/layer_forms.h tests/ck.h
tests_unit_test_gates_LDADD = libloci.la $(CUNIT_LIBS) -lm

# what a node tells of itself to explain, info and inspect
libloci_la_SOURCES += %D%/ask.c

# a memory's rule, without its front end
libloci_la_SOURCES += %D%/rule.c
