# SPDX-License-Identifier: Apache-2.0
#
# tests/simt: kernels of plugins/attn_cuda, compiled by the C++ compiler and run as fibers. A .cu file is compiled
# through a .cc beside the test that includes it. Without a C++ compiler nothing of this is built.
SIMT_CXXFLAGS = -std=c++17 $(WARN_CXXFLAGS) $(OPT_CFLAGS) $(SAN_CFLAGS)

simt_shim = %D%/simt.cc %D%/simt.h %D%/warp.cc %D%/fiber.cc %D%/fiber.h %D%/sites.cc %D%/sites.h %D%/schedule.h
attn_kernels = %D%/attn_forward.cc %D%/attn_queries.cc %D%/attn_keys.cc %D%/attn_sums.cc
dist_check_SCRIPTS += %D%/mutate.sh
LONG_TESTS += %D%/nvcc.sh %D%/long.sh
EXTRA_DIST += %D%/README.md %D%/mutate %D%/toys.cu plugins/attn_cuda/gpu.h plugins/attn_cuda/attn_forward.cu \
              plugins/attn_cuda/attn_queries.cu plugins/attn_cuda/attn_keys.cu plugins/attn_cuda/attn_sums.cu \
              plugins/attn_cuda/attn_tile.h plugins/attn_cuda/attn_pair.h plugins/attn_cuda/attn_load.h \
              plugins/attn_cuda/attn_launch.h plugins/attn_cuda/attn_back.h plugins/attn_cuda/attention.md
if HAVE_CXX
noinst_LTLIBRARIES += %D%/libsimt.la
%C%_libsimt_la_SOURCES = $(simt_shim)
%C%_libsimt_la_CXXFLAGS = $(SIMT_CXXFLAGS)

check_PROGRAMS += %D%/test_simt
%C%_test_simt_SOURCES = %D%/test_simt.c %D%/toys.cc %D%/toys.h
%C%_test_simt_CXXFLAGS = $(SIMT_CXXFLAGS)
%C%_test_simt_LDADD = %D%/libsimt.la $(CUNIT_LIBS) -lm

check_PROGRAMS += %D%/test_attn
%C%_test_attn_SOURCES = %D%/test_attn.c %D%/attn_judge.h $(attn_kernels) plugins/attn_cuda/attn_class.c plugins/attn_cuda/attn_call.c \
                        plugins/attn_cuda/attn_desc.c plugins/attn_cuda/attn_check.c \
                        plugins/attn_cuda/attn_call.h plugins/attn_cuda/attn.h
%C%_test_attn_CXXFLAGS = $(SIMT_CXXFLAGS)
%C%_test_attn_LDADD = %D%/libsimt.la plugins/attn_ref/libattn_ref.la libloci.la $(CUNIT_LIBS) -lm
endif
