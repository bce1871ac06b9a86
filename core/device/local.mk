# core/device: the CPU device. The kernels are one text, compiled per element type and instruction set (kern.inc for
# loci.ops/1, scan.inc for loci.scan/1), each set in a library of its own with its flags.
libloci_la_SOURCES += %D%/pool.c %D%/pool.h %D%/cpu.c %D%/cpu.h %D%/rng.c %D%/rng.h %D%/walk.c %D%/walk.h \
                      %D%/flush.h %D%/gemm.c %D%/gemm.h %D%/gemm_bf16.c %D%/gemm_library.c %D%/gemm_tile.c %D%/gemm_tile.h %D%/room.c %D%/room.h %D%/ops.c %D%/ops.h %D%/ops_map.c %D%/ops_norm.c %D%/ops_rows.c %D%/ops_conv.c \
                      %D%/ops_loss.c %D%/ops_dot.c %D%/ops_fused.c %D%/fused.h %D%/kern.h %D%/kern.inc %D%/scan.c %D%/scan.h %D%/scan_call.c %D%/scan_call.h \
                      %D%/scan.inc %D%/scan_kernel.h

EXTRA_DIST += %D%/README.md %D%/kern.tmpl %D%/kern_math.tmpl %D%/kern_map.tmpl %D%/kern_norm.tmpl %D%/kern_rows.tmpl \
              %D%/kern_fused.tmpl %D%/kern_loss.tmpl %D%/vec.tmpl %D%/vec_tile.tmpl %D%/kern_gemm.tmpl %D%/kern_gemm_packed.tmpl \
              %D%/kern_gemm_short.tmpl %D%/gemm_tile.tmpl %D%/scan_kernel.tmpl \
              %D%/scan_run.tmpl %D%/scan_mm.tmpl %D%/scan_l.tmpl %D%/scan_l_strip.tmpl %D%/scan_l_back.tmpl \
              %D%/scan_w_strip.tmpl %D%/scan_m_strip.tmpl %D%/scan_tile.tmpl %D%/scan_d.tmpl %D%/scan_w.tmpl %D%/scan_m.tmpl \
              %D%/scan_m_coef.tmpl %D%/scan_coef.tmpl %D%/scan_m_read.tmpl %D%/scan_strip.tmpl \
              %D%/scan_m_chunk.tmpl %D%/scan_m_back.tmpl %D%/scan_chunk.tmpl

noinst_LTLIBRARIES        += %D%/libdev_base.la
%C%_libdev_base_la_SOURCES = %D%/kern_f64.c %D%/kern_f32.c %D%/scan_f64.c %D%/scan_f32.c
%C%_libdev_base_la_CFLAGS  = $(KERNEL_CFLAGS)
libloci_la_LIBADD         += %D%/libdev_base.la

if HAVE_AVX2
noinst_LTLIBRARIES        += %D%/libdev_avx2.la
%C%_libdev_avx2_la_SOURCES = %D%/kern_f32_avx2.c %D%/scan_f32_avx2.c
%C%_libdev_avx2_la_CFLAGS  = $(KERNEL_CFLAGS) $(AVX2_CFLAGS)
libloci_la_LIBADD         += %D%/libdev_avx2.la
endif

if HAVE_AVX512
noinst_LTLIBRARIES          += %D%/libdev_avx512.la
%C%_libdev_avx512_la_SOURCES = %D%/kern_f32_avx512.c %D%/scan_f32_avx512.c
%C%_libdev_avx512_la_CFLAGS  = $(KERNEL_CFLAGS) $(AVX512_CFLAGS)
libloci_la_LIBADD           += %D%/libdev_avx512.la
endif

if HAVE_AMX
noinst_LTLIBRARIES       += %D%/libgemm_amx.la
%C%_libgemm_amx_la_SOURCES = %D%/gemm_tile_amx.c
%C%_libgemm_amx_la_CFLAGS  = $(KERNEL_CFLAGS) $(AMX_CFLAGS)
libloci_la_LIBADD        += %D%/libgemm_amx.la
# The same text for processors without, for its tests.
check_LTLIBRARIES            += %D%/libgemm_emulated.la
%C%_libgemm_emulated_la_SOURCES = %D%/gemm_tile_emulated.c
%C%_libgemm_emulated_la_CFLAGS  = $(KERNEL_CFLAGS) $(AMX_CFLAGS)
gemm_emulated = %D%/libgemm_emulated.la
endif

check_PROGRAMS += tests/unit/test_pool tests/unit/test_ops tests/unit/test_ops_back tests/unit/test_fused tests/unit/test_conv \
                  tests/unit/test_gemm tests/unit/test_gemm_bf16 tests/unit/test_random
tests_unit_test_pool_SOURCES     = tests/unit/test_pool.c tests/ck.h
tests_unit_test_pool_LDADD       = libloci.la $(CUNIT_LIBS) -lm
tests_unit_test_ops_SOURCES      = tests/unit/test_ops.c tests/unit/ops_tools.h tests/unit/host.h tests/ck.h
tests_unit_test_ops_LDADD        = libloci.la $(CUNIT_LIBS) -lm
tests_unit_test_ops_back_SOURCES = tests/unit/test_ops_back.c tests/unit/ops_tools.h tests/unit/host.h tests/ck.h
tests_unit_test_ops_back_LDADD   = libloci.la $(CUNIT_LIBS) -lm
tests_unit_test_fused_SOURCES    = tests/unit/test_fused.c tests/unit/ops_tools.h tests/unit/host.h tests/ck.h
tests_unit_test_fused_LDADD      = libloci.la $(CUNIT_LIBS) -lm
tests_unit_test_conv_SOURCES     = tests/unit/test_conv.c tests/unit/ops_tools.h tests/unit/host.h tests/ck.h
tests_unit_test_conv_LDADD       = libloci.la $(CUNIT_LIBS) -lm
tests_unit_test_gemm_SOURCES     = tests/unit/test_gemm.c tests/unit/ops_tools.h tests/unit/host.h tests/ck.h
tests_unit_test_gemm_LDADD       = libloci.la $(CUNIT_LIBS) -lm
tests_unit_test_gemm_bf16_SOURCES = tests/unit/test_gemm_bf16.c tests/unit/ops_tools.h tests/unit/host.h tests/ck.h
tests_unit_test_gemm_bf16_LDADD   = $(gemm_emulated) libloci.la $(CUNIT_LIBS) -lm
tests_unit_test_random_SOURCES   = tests/unit/test_random.c tests/ck.h
tests_unit_test_random_LDADD     = libloci.la $(CUNIT_LIBS) -lm

include %D%/scan.mk
