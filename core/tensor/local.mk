libloci_la_SOURCES += %D%/file.h %D%/json.h %D%/tensors.h \
	%D%/folder.c %D%/json.c %D%/npy.c %D%/npz.c %D%/safetensors.c %D%/tensors.c %D%/view.c %D%/write.c

check_PROGRAMS += tests/unit/test_tensor
tests_unit_test_tensor_SOURCES = tests/unit/test_tensor.c tests/ck.h
tests_unit_test_tensor_CPPFLAGS = $(AM_CPPFLAGS) -DLOCI_TENSOR_CORPUS='"$(abs_top_srcdir)/tests/fuzz/tensors"'
tests_unit_test_tensor_LDADD = libloci.la $(CUNIT_LIBS) $(JANSSON_LIBS) -lm
