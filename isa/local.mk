# isa: headers for kernels in core/ and plugins/ alike.
EXTRA_DIST += %D%/README.md %D%/amx_emulated.h %D%/amx_hard.h %D%/amx_may.h %D%/transpose.h
