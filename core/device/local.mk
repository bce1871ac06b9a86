# core/device: the CPU device. The kernels are one text, compiled per element type and instruction set (kern.inc for
# loci.ops/1, scan.inc for loci.scan/1), each with the flags of its set in a library of its own.
libloci_la_SOURCES += %D%/pool.c %D%/pool.h %D%/cpu.c %D%/cpu.h %D%/rng.c %D%/rng.h %D%/walk.c %D%/walk.h \
                      %D%/gemm.c %D%/ops.c %D%/ops.h %D%/ops_map.c %D%/ops_norm.c %D%/ops_rows.c %D%/ops_conv.c \
                      %D%/ops_loss.c %D%/kern.h %D%/kern.inc %D%/scan.c %D%/scan.h %D%/scan_call.c %D%/scan_call.h \
                      %D%/scan.inc %D%/scan_kernel.h
