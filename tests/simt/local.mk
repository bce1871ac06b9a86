# SPDX-License-Identifier: Apache-2.0
#
# tests/simt: kernels of plugins/attn_cuda, compiled by the C++ compiler and run as fibers. A .cu file is compiled
# through a .cc beside the test that includes it. Without a C++ compiler nothing of this is built.
# barriers.sh runs mutate; were it mutate.sh, a built-in rule of make would write one over the other.
dist_check_SCRIPTS += %D%/card.sh %D%/barriers.sh
SIMT_CXXFLAGS = -std=c++17 $(WARN_CXXFLAGS) $(OPT_CFLAGS) $(SAN_CXXFLAGS)

simt_shim = %D%/simt.cc %D%/simt.h %D%/block.h %D%/wait.cc %D%/warp.cc %D%/fiber.cc %D%/fiber.h %D%/asan.h %D%/sites.cc \
            %D%/sites.h %D%/schedule.h
attn_kernels = %D%/attn_forward.cc %D%/attn_queries.cc %D%/attn_keys.cc %D%/attn_sums.cc
LONG_TESTS += %D%/nvcc.sh %D%/long.sh
# In a build --with-cuda: what the compiler made of the kernels, and the plugin where there is no driver.
if HAVE_CUDA
dist_check_SCRIPTS += %D%/compiled.sh %D%/no_driver.sh
else
EXTRA_DIST += %D%/compiled.sh %D%/no_driver.sh
endif
EXTRA_DIST += %D%/README.md %D%/mutate %D%/toys.cu plugins/attn_cuda/gpu.h plugins/attn_cuda/attn_forward.cu \
              plugins/attn_cuda/attn_queries.cu plugins/attn_cuda/attn_keys.cu plugins/attn_cuda/attn_sums.cu \
              plugins/attn_cuda/attn_tile.h plugins/attn_cuda/attn_pair.h plugins/attn_cuda/attn_load.h \
              plugins/attn_cuda/attn_launch.h plugins/attn_cuda/attn_back.h plugins/attn_cuda/attention.md
if HAVE_CXX
noinst_LTLIBRARIES += %D%/libsimt.la
%C%_libsimt_la_SOURCES = $(simt_shim)
%C%_libsimt_la_CXXFLAGS = $(SIMT_CXXFLAGS) -fvisibility=hidden

# The device of plugins/attn_cuda on the host: its own sources, over rt_simt in place of the CUDA runtime. The ring of
# lists is small, so that tests go around it.
noinst_LTLIBRARIES += %D%/libcard.la
%C%_libcard_la_SOURCES = $(card_sources) %D%/rt_simt.c \
    %D%/card_ops_map.cc %D%/card_ops_norm.cc %D%/card_ops_sum.cc %D%/card_ops_rows.cc %D%/card_ops_conv.cc \
    %D%/card_ops_loss.cc %D%/card_gemm.cc %D%/card_scan_forward_l.cc %D%/card_scan_forward_w.cc \
    %D%/card_scan_forward_m.cc %D%/card_scan_backward_l.cc %D%/card_scan_backward_w.cc %D%/card_scan_backward_m.cc \
    %D%/card_scan_sums.cc %D%/card_scan_pieces.cc %D%/card_scan_channels.cc %D%/card_coef.cc $(attn_kernels)
%C%_libcard_la_CPPFLAGS = $(AM_CPPFLAGS) '-DCUDA_STAGE_BYTES=(UINT64_C(1)<<20)' \
                         '-DCUDA_BLAS="libcublas_simt.so"' -DSCAN_BLOCKS=32 -DSCAN_WINDOW=64
%C%_libcard_la_CFLAGS = $(AM_CFLAGS) -fvisibility=hidden
%C%_libcard_la_CXXFLAGS = $(SIMT_CXXFLAGS) -fvisibility=hidden
%C%_libcard_la_LIBADD = %D%/libsimt.la

# The plugin as it would be built for a card, for tests of the command: `loci --plugin-path` finds it. It is linked as C:
# libtool links shared objects of C++ with -nostdlib, and so without the run-time libraries of sanitizers.
check_LTLIBRARIES += %D%/attn_cuda.la
%C%_attn_cuda_la_SOURCES = plugins/attn_cuda/plugin.c
%C%_attn_cuda_la_CPPFLAGS = $(PLUGIN_CPPFLAGS)
%C%_attn_cuda_la_CFLAGS = $(PLUGIN_CFLAGS)
%C%_attn_cuda_la_LDFLAGS = $(CHECK_PLUGIN_LDFLAGS)
%C%_attn_cuda_la_LIBADD = %D%/libcard.la -lstdc++ -lm

check_LTLIBRARIES += %D%/libcublas_simt.la
%C%_libcublas_simt_la_SOURCES = %D%/cublas.c
%C%_libcublas_simt_la_CPPFLAGS = $(PLUGIN_CPPFLAGS)
%C%_libcublas_simt_la_CFLAGS = $(PLUGIN_CFLAGS)
%C%_libcublas_simt_la_LDFLAGS = $(AM_LDFLAGS) -avoid-version -shared -rpath $(abs_top_builddir)

# What the CPU device passes: test_card_NAME.c is a test of tests/unit, taken in by card.h. One list; sources and libraries
# are automake's defaults. As the plugin they are linked as C.
LDADD = %D%/libcard.la libloci.la $(CUNIT_LIBS) -lstdc++ -lm
check_PROGRAMS += %D%/test_card_ops %D%/test_card_ops_back %D%/test_card_conv %D%/test_card_gemm %D%/test_card_blas \
                  %D%/test_card_scan %D%/test_card_scan_tiles %D%/test_card_coef
LONG_PROGS += %D%/test_card_scan_same %D%/test_card_scan_l
LONG_TESTS += %D%/card_scan.sh %D%/card_check.sh
noinst_HEADERS += %D%/card.h

check_PROGRAMS += %D%/test_simt
%C%_test_simt_SOURCES = %D%/test_simt.c %D%/toys.cc %D%/toys.h
%C%_test_simt_CXXFLAGS = $(SIMT_CXXFLAGS)
%C%_test_simt_LDADD = %D%/libsimt.la libloci.la $(CUNIT_LIBS) -lm

check_PROGRAMS += %D%/test_attn
%C%_test_attn_SOURCES = %D%/test_attn.c %D%/attn_judge.h %D%/rt_simt.c $(attn_kernels) plugins/attn_cuda/attn_class.c \
                        plugins/attn_cuda/attn_call.c plugins/attn_cuda/attn_desc.c plugins/attn_cuda/attn_list.c \
                        plugins/attn_cuda/attn_call.h plugins/attn_cuda/attn.h
%C%_test_attn_CXXFLAGS = $(SIMT_CXXFLAGS)
%C%_test_attn_LDADD = %D%/libsimt.la plugins/attn_ref/libattn_ref.la libloci.la $(CUNIT_LIBS) -lm
endif
