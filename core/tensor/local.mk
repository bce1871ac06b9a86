libloci_la_SOURCES += %D%/file.h %D%/folder.c %D%/json.c %D%/json.h %D%/npy.c %D%/npz.c %D%/safetensors.c \
                      %D%/tensors.c %D%/tensors.h %D%/view.c %D%/write.c

check_PROGRAMS += tests/unit/test_tensor tests/unit/test_file tests/fuzz/fuzz_tensors
tests_unit_test_tensor_SOURCES = tests/unit/test_tensor.c tests/ck.h
tests_unit_test_tensor_LDADD = libloci.la $(JANSSON_LIBS) $(CUNIT_LIBS) -lm
tests_unit_test_file_SOURCES = tests/unit/test_file.c tests/ck.h
tests_unit_test_file_LDADD = libloci.la $(CUNIT_LIBS) -lm
tests_fuzz_fuzz_tensors_SOURCES = tests/fuzz/fuzz_tensors.c
tests_fuzz_fuzz_tensors_LDADD = libloci.la
EXTRA_DIST += tests/fuzz/tensors

# what stands in a tensor, and how two files differ
libloci_la_SOURCES += %D%/figures.c %D%/figures.h
check_PROGRAMS += tests/unit/test_figures
tests_unit_test_figures_SOURCES = tests/unit/test_figures.c tests/ck.h
tests_unit_test_figures_LDADD = libloci.la $(CUNIT_LIBS) -lm
