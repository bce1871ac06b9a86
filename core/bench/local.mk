# core/bench: the loops that show what the CPU can do are one text, each set compiled in a library with its flags.
libloci_la_SOURCES += %D%/bandwidth.c %D%/bench.h %D%/clock.c %D%/component.c %D%/cost.c %D%/decode.c %D%/dot.c %D%/dot.h \
                      %D%/dot.inc %D%/empty.c %D%/expr.c %D%/fma.h %D%/fma.inc %D%/gemm.c %D%/impl.h %D%/measure.c %D%/peak.c \
                      %D%/profile.c %D%/profile.h %D%/profile_calls.c %D%/startup.c %D%/train.c %D%/work.c
EXTRA_DIST += %D%/fma.tmpl

noinst_LTLIBRARIES      += %D%/libfma_ref.la
%C%_libfma_ref_la_SOURCES = %D%/fma_ref.c
%C%_libfma_ref_la_CFLAGS  = $(KERNEL_CFLAGS)
libloci_la_LIBADD       += %D%/libfma_ref.la

if HAVE_AVX2
noinst_LTLIBRARIES       += %D%/libfma_avx2.la
%C%_libfma_avx2_la_SOURCES = %D%/fma_avx2.c
%C%_libfma_avx2_la_CFLAGS  = $(KERNEL_CFLAGS) $(AVX2_CFLAGS)
libloci_la_LIBADD        += %D%/libfma_avx2.la
endif

if HAVE_AVX512
noinst_LTLIBRARIES         += %D%/libfma_avx512.la
%C%_libfma_avx512_la_SOURCES = %D%/fma_avx512.c
%C%_libfma_avx512_la_CFLAGS  = $(KERNEL_CFLAGS) $(AVX512_CFLAGS)
libloci_la_LIBADD          += %D%/libfma_avx512.la
endif

if HAVE_BF16
noinst_LTLIBRARIES             += %D%/libdot_avx512bf16.la
%C%_libdot_avx512bf16_la_SOURCES = %D%/dot_avx512bf16.c
%C%_libdot_avx512bf16_la_CFLAGS  = $(KERNEL_CFLAGS) $(BF16_CFLAGS)
libloci_la_LIBADD              += %D%/libdot_avx512bf16.la
endif

if HAVE_AMX
noinst_LTLIBRARIES      += %D%/libdot_amx.la
%C%_libdot_amx_la_SOURCES = %D%/dot_amx.c
%C%_libdot_amx_la_CFLAGS  = $(KERNEL_CFLAGS) $(AMX_CFLAGS)
libloci_la_LIBADD       += %D%/libdot_amx.la
endif

check_PROGRAMS += tests/unit/test_bench tests/unit/test_bench_expr
tests_unit_test_bench_SOURCES = tests/unit/test_bench.c tests/ck.h
tests_unit_test_bench_LDADD = libloci.la $(CUNIT_LIBS) -lm
tests_unit_test_bench_expr_SOURCES = tests/unit/test_bench_expr.c tests/ck.h
tests_unit_test_bench_expr_LDADD = libloci.la $(CUNIT_LIBS) -lm
