# SPDX-License-Identifier: Apache-2.0
#
# tests/simt: kernels of plugins/attn_cuda, compiled by the C++ compiler and run as fibers. A .cu file is compiled
# through a .cc beside the test that includes it. Without a C++ compiler nothing of this is built.
SIMT_CXXFLAGS = -std=c++17 $(WARN_CXXFLAGS) $(OPT_CFLAGS) $(SAN_CFLAGS)

simt_shim = %D%/simt.cc %D%/simt.h %D%/warp.cc %D%/fiber.cc %D%/fiber.h %D%/sites.cc %D%/sites.h %D%/schedule.h
EXTRA_DIST += %D%/README.md %D%/toys.cu plugins/attn_cuda/gpu.h
if HAVE_CXX
noinst_LTLIBRARIES += %D%/libsimt.la
%C%_libsimt_la_SOURCES = $(simt_shim)
%C%_libsimt_la_CXXFLAGS = $(SIMT_CXXFLAGS)

check_PROGRAMS += %D%/test_simt
%C%_test_simt_SOURCES = %D%/test_simt.c %D%/toys.cc %D%/toys.h
%C%_test_simt_CXXFLAGS = $(SIMT_CXXFLAGS)
%C%_test_simt_LDADD = %D%/libsimt.la $(CUNIT_LIBS) -lm
endif
