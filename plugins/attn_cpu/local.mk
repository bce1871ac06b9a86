# plugins/attn_cpu: the kernels are one text (tile.tmpl), compiled per element type and instruction set (tile.inc), each
# with the flags of its set in a library of its own.
%C%_cpu_cppflags = $(PLUGIN_CPPFLAGS)
%C%_cpu_tiles = %D%/libtile.la
noinst_LTLIBRARIES += %D%/libattn_cpu.la %D%/libtile.la
%C%_libtile_la_SOURCES = %D%/tile_f32.c %D%/tile_f64.c %D%/tile.h %D%/tile.inc
%C%_libtile_la_CPPFLAGS = $(PLUGIN_CPPFLAGS)
%C%_libtile_la_CFLAGS = $(KERNEL_CFLAGS) -fvisibility=hidden
if HAVE_AVX2
%C%_cpu_cppflags += -DCPU_HAVE_AVX2=1
%C%_cpu_tiles += %D%/libtile_avx2.la
noinst_LTLIBRARIES += %D%/libtile_avx2.la
%C%_libtile_avx2_la_SOURCES = %D%/tile_f32_avx2.c
%C%_libtile_avx2_la_CPPFLAGS = $(PLUGIN_CPPFLAGS) -DCPU_HAVE_AVX2=1
%C%_libtile_avx2_la_CFLAGS = $(KERNEL_CFLAGS) $(AVX2_CFLAGS) -fvisibility=hidden
endif
if HAVE_AVX512
%C%_cpu_cppflags += -DCPU_HAVE_AVX512=1
%C%_cpu_tiles += %D%/libtile_avx512.la
noinst_LTLIBRARIES += %D%/libtile_avx512.la
%C%_libtile_avx512_la_SOURCES = %D%/tile_f32_avx512.c
%C%_libtile_avx512_la_CPPFLAGS = $(PLUGIN_CPPFLAGS) -DCPU_HAVE_AVX512=1
%C%_libtile_avx512_la_CFLAGS = $(KERNEL_CFLAGS) $(AVX512_CFLAGS) -falign-loops=64 -fvisibility=hidden
endif
if HAVE_BF16
%C%_cpu_cppflags += -DCPU_HAVE_BF16=1
%C%_cpu_tiles += %D%/libtile_bf16.la
noinst_LTLIBRARIES += %D%/libtile_bf16.la
%C%_libtile_bf16_la_SOURCES = %D%/bf16_dot.c %D%/bf16_probe.c %D%/bf16_room.h
%C%_libtile_bf16_la_CPPFLAGS = $(PLUGIN_CPPFLAGS) -DCPU_HAVE_BF16=1
%C%_libtile_bf16_la_CFLAGS = $(KERNEL_CFLAGS) $(BF16_CFLAGS) -fvisibility=hidden
endif
if HAVE_AMX
%C%_cpu_cppflags += -DCPU_HAVE_AMX=1
%C%_cpu_tiles += %D%/libtile_amx.la
noinst_LTLIBRARIES += %D%/libtile_amx.la
%C%_libtile_amx_la_SOURCES = %D%/amx.c %D%/amx_rows.h %D%/bf16_room.h
%C%_libtile_amx_la_CPPFLAGS = $(PLUGIN_CPPFLAGS) -DCPU_HAVE_AMX=1
%C%_libtile_amx_la_CFLAGS = $(KERNEL_CFLAGS) $(AMX_CFLAGS) -fvisibility=hidden
# The same text for processors without, for its tests.
check_LTLIBRARIES += %D%/libamx_emulated.la
%C%_libamx_emulated_la_SOURCES = %D%/amx_emulated.c %D%/amx_rows.h %D%/bf16_room.h
%C%_libamx_emulated_la_CPPFLAGS = $(PLUGIN_CPPFLAGS) -DCPU_HAVE_AMX=1
%C%_libamx_emulated_la_CFLAGS = $(KERNEL_CFLAGS) $(AMX_CFLAGS)
amx_emulated = %D%/libamx_emulated.la
endif

# The text of AVX-512 in vectors that this compiler's machine has, for tests.
check_LTLIBRARIES += %D%/libtile_lanes16.la
%C%_libtile_lanes16_la_SOURCES = %D%/tile_f32_lanes16.c
%C%_libtile_lanes16_la_CPPFLAGS = $(PLUGIN_CPPFLAGS)
%C%_libtile_lanes16_la_CFLAGS = $(KERNEL_CFLAGS) $(AVX2_CFLAGS) -Wno-psabi

%C%_libattn_cpu_la_SOURCES = %D%/class.c %D%/call.c %D%/check.h %D%/desc.c %D%/run.c %D%/pick.c \
                             %D%/bf16.c %D%/bf16.h %D%/bf16_pick.c
%C%_libattn_cpu_la_CPPFLAGS = $(%C%_cpu_cppflags)
%C%_libattn_cpu_la_CFLAGS = $(PLUGIN_CFLAGS)
%C%_libattn_cpu_la_LIBADD = $(%C%_cpu_tiles)

plugin_LTLIBRARIES += %D%/attn_cpu.la
%C%_attn_cpu_la_SOURCES = %D%/plugin.c
%C%_attn_cpu_la_CPPFLAGS = $(PLUGIN_CPPFLAGS)
%C%_attn_cpu_la_CFLAGS = $(PLUGIN_CFLAGS)
%C%_attn_cpu_la_LDFLAGS = $(PLUGIN_LDFLAGS)
%C%_attn_cpu_la_LIBADD = %D%/libattn_cpu.la -lm
EXTRA_DIST += %D%/README.md %D%/tile.tmpl %D%/tile_back.tmpl %D%/tile_keys.tmpl %D%/tile_one.tmpl %D%/tile_pair.tmpl \
              %D%/tile_room.tmpl %D%/tile_rows.tmpl %D%/tile_turn.tmpl %D%/tile_vec.tmpl %D%/amx.tmpl %D%/amx_room.tmpl \
              %D%/amx_back.tmpl %D%/amx_back_room.tmpl

check_PROGRAMS += %D%/test_attn_cpu %D%/test_attn_tile %D%/test_attn_one %D%/test_attn_desc %D%/test_attn_bf16 \
                  %D%/test_attn_bf16_edge
%C%_test_attn_cpu_SOURCES = %D%/test_attn_cpu.c %D%/judge.h
%C%_test_attn_cpu_LDADD = %D%/libtile_lanes16.la %D%/libattn_cpu.la plugins/attn_ref/libattn_ref.la libloci.la $(CUNIT_LIBS) -lm
%C%_test_attn_tile_SOURCES = %D%/test_attn_tile.c %D%/judge.h
%C%_test_attn_tile_LDADD = %D%/libtile_lanes16.la %D%/libattn_cpu.la plugins/attn_ref/libattn_ref.la libloci.la $(CUNIT_LIBS) -lm
%C%_test_attn_one_SOURCES = %D%/test_attn_one.c %D%/judge.h
%C%_test_attn_one_LDADD = %D%/libtile_lanes16.la %D%/libattn_cpu.la plugins/attn_ref/libattn_ref.la libloci.la $(CUNIT_LIBS) -lm
%C%_test_attn_desc_SOURCES = %D%/test_attn_desc.c %D%/judge.h
%C%_test_attn_desc_LDADD = %D%/libtile_lanes16.la %D%/libattn_cpu.la plugins/attn_ref/libattn_ref.la libloci.la $(CUNIT_LIBS) -lm
%C%_test_attn_bf16_SOURCES = %D%/test_attn_bf16.c %D%/judge_bf16.h %D%/judge.h
%C%_test_attn_bf16_CPPFLAGS = $(AM_CPPFLAGS) $(%C%_cpu_cppflags)
%C%_test_attn_bf16_LDADD = $(amx_emulated) %D%/libtile_lanes16.la %D%/libattn_cpu.la plugins/attn_ref/libattn_ref.la libloci.la $(CUNIT_LIBS) -lm
%C%_test_attn_bf16_edge_SOURCES = %D%/test_attn_bf16_edge.c %D%/judge_bf16.h %D%/judge.h
%C%_test_attn_bf16_edge_CPPFLAGS = $(AM_CPPFLAGS) $(%C%_cpu_cppflags)
%C%_test_attn_bf16_edge_LDADD = $(amx_emulated) %D%/libtile_lanes16.la %D%/libattn_cpu.la plugins/attn_ref/libattn_ref.la libloci.la $(CUNIT_LIBS) -lm

# Times the kernels that a machine would not choose, too.
BENCH_PROGS += %D%/time_bf16
%C%_time_bf16_SOURCES = %D%/time_bf16.c
%C%_time_bf16_CPPFLAGS = $(AM_CPPFLAGS) $(%C%_cpu_cppflags)
%C%_time_bf16_LDADD = %D%/libattn_cpu.la libloci.la $(CUNIT_LIBS) -lm
