# SPDX-License-Identifier: Apache-2.0
#
# m4/cuda.m4: the CUDA Toolkit, only when asked for.
#
# LOCI_CUDA: --with-cuda[=DIR]. Sets NVCC, NVCCFLAGS, CUDA_ARCH, CUDA_CPPFLAGS, CUDA_LIBS (the runtime, linked statically; cuBLAS is
# opened at run time) and the conditional HAVE_CUDA. No GPU is needed to build.
AC_DEFUN([LOCI_CUDA], [
  AC_ARG_WITH([cuda],
    [AS_HELP_STRING([--with-cuda@<:@=DIR@:>@], [build the CUDA plugins with the toolkit in DIR (default: no)])],
    [], [with_cuda=no])
  AC_ARG_VAR([NVCC], [the CUDA compiler])
  AC_ARG_VAR([NVCCFLAGS], [flags for the CUDA compiler])
  AC_ARG_VAR([CUDA_ARCH], [the cards to compile for (default: code for 8.0 and 9.0, and PTX for later ones)])
  loci_have_cuda=no
  CUDA_CPPFLAGS=
  CUDA_LIBS=
  AS_IF([test "x$with_cuda" != xno], [
    AS_CASE([$with_cuda],
      [yes], [AC_PATH_PROG([NVCC], [nvcc], [], [$PATH$PATH_SEPARATOR/usr/local/cuda/bin])],
      [AC_PATH_PROG([NVCC], [nvcc], [], [$with_cuda/bin])])
    AS_IF([test -z "$NVCC"],
      [AC_MSG_ERROR([--with-cuda: no nvcc found; give the toolkit's folder (--with-cuda=/usr/local/cuda) or set NVCC])])
    # The folder above bin/ that the real nvcc lies in: a distribution's nvcc may be a link.
    loci_nvcc=`readlink -f "$NVCC" 2>/dev/null || echo "$NVCC"`
    loci_cuda_dir=`AS_DIRNAME(["$loci_nvcc"])`
    loci_cuda_dir=`AS_DIRNAME(["$loci_cuda_dir"])`
    test -f "$loci_cuda_dir/include/cuda_runtime.h" && CUDA_CPPFLAGS="-I$loci_cuda_dir/include"
    loci_cuda_L=
    for loci_dir in "$loci_cuda_dir/lib64" "$loci_cuda_dir/targets/x86_64-linux/lib" "$loci_cuda_dir/lib"; do
      test -z "$loci_cuda_L" && test -f "$loci_dir/libcudart_static.a" && loci_cuda_L="-L$loci_dir"
    done

    loci_saved_CPPFLAGS=$CPPFLAGS loci_saved_LIBS=$LIBS
    CPPFLAGS="$CPPFLAGS $CUDA_CPPFLAGS"
    CUDA_LIBS="$loci_cuda_L -lcudart_static -lrt -lpthread -ldl"
    LIBS="$CUDA_LIBS $LIBS"
    AC_MSG_CHECKING([for the static CUDA runtime])
    AC_LINK_IFELSE([AC_LANG_PROGRAM([[#include <cuda_runtime.h>]], [[int n; return (int)cudaGetDeviceCount(&n);]])],
      [AC_MSG_RESULT([$CUDA_LIBS])],
      [AC_MSG_RESULT([no])
       AC_MSG_ERROR([--with-cuda: $NVCC is there, its cuda_runtime.h and libcudart_static.a are not (see config.log)])])
    CPPFLAGS=$loci_saved_CPPFLAGS LIBS=$loci_saved_LIBS

    AC_MSG_CHECKING([whether $NVCC compiles])
    cat > conftest.cu <<'_LOCI_EOF'
extern "C" __global__ void twice(float *x) { x[[threadIdx.x]] *= 2; }
_LOCI_EOF
    AS_IF([$NVCC $NVCCFLAGS -c conftest.cu -o conftest.o >&AS_MESSAGE_LOG_FD 2>&1],
      [AC_MSG_RESULT([yes]); loci_have_cuda=yes],
      [AC_MSG_RESULT([no]); AC_MSG_ERROR([--with-cuda: $NVCC cannot compile (see config.log)])])
    rm -f conftest.cu conftest.o
    test -n "$NVCCFLAGS" || NVCCFLAGS="-O3"
    test -n "$CUDA_ARCH" ||
      CUDA_ARCH="-gencode arch=compute_80,code=@<:@sm_80,sm_90,compute_80@:>@"
  ])
  AC_SUBST([CUDA_CPPFLAGS])
  AC_SUBST([CUDA_LIBS])
  AM_CONDITIONAL([HAVE_CUDA], [test $loci_have_cuda = yes])
])
