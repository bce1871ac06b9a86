# SPDX-License-Identifier: Apache-2.0
#
# m4/flags.m4: what the compiler takes, which instruction sets it can write, which libraries are there.

# LOCI_TRY_FLAGS(VARIABLE, FLAG...): append each flag that compiles without a word.
AC_DEFUN([LOCI_TRY_FLAGS], [
  loci_saved_CFLAGS=$CFLAGS
  for loci_flag in $2; do
    AC_MSG_CHECKING([whether $CC takes $loci_flag])
    CFLAGS="$loci_saved_CFLAGS -Werror $loci_flag"
    AC_COMPILE_IFELSE([AC_LANG_PROGRAM([], [])],
      [AC_MSG_RESULT([yes]); $1="$$1 $loci_flag"], [AC_MSG_RESULT([no])])
  done
  CFLAGS=$loci_saved_CFLAGS
])

# LOCI_ISA(NAME, FLAGS, STATEMENT): NAME_CFLAGS and the conditional HAVE_NAME, when the compiler turns an intrinsic
# into code. What the machine can run is asked at run time.
AC_DEFUN([LOCI_ISA], [
  AC_MSG_CHECKING([whether $CC writes $1])
  loci_saved_CFLAGS=$CFLAGS
  CFLAGS="$CFLAGS $2"
  AC_LINK_IFELSE([AC_LANG_PROGRAM([[#include <immintrin.h>
float in[16], out[16];]], [[$3]])], [loci_have_$1=yes], [loci_have_$1=no])
  CFLAGS=$loci_saved_CFLAGS
  AC_MSG_RESULT([$loci_have_$1])
  AS_IF([test $loci_have_$1 = yes], [$1_CFLAGS="$2"], [$1_CFLAGS=])
  AC_SUBST([$1_CFLAGS])
  AM_CONDITIONAL([HAVE_$1], [test $loci_have_$1 = yes])
])

# LOCI_LIB(VARIABLE, HEADER, LIBRARY, FUNCTION, PACKAGE, [PRELUDE], [OTHER-LIBS]): VARIABLE_LIBS, and loci_have_VARIABLE
# yes or no. LIBRARY "none" for a header alone. PACKAGE is Debian's name; loci_missing collects it if the last
# argument of LOCI_NEED says so.
AC_DEFUN([LOCI_LIB], [
  loci_have_$1=no
  $1_LIBS=
  AC_CHECK_HEADER([$2], [loci_have_$1=yes], [], [$6
])
  m4_if([$3], [none], [], [
    AS_IF([test $loci_have_$1 = yes],
      [AC_CHECK_LIB([$3], [$4], [$1_LIBS="-l$3 $7"], [loci_have_$1=no], [$7])])
  ])
  AC_SUBST([$1_LIBS])
])

# LOCI_NEED: LOCI_LIB, and its absence is an error, told once for all of them by LOCI_MISSING.
AC_DEFUN([LOCI_NEED], [
  LOCI_LIB([$1], [$2], [$3], [$4], [$5], [$6], [$7])
  AS_IF([test $loci_have_$1 = no], [loci_missing="$loci_missing $5"])
])

AC_DEFUN([LOCI_MISSING], [
  AS_IF([test -n "$loci_missing"],
    [AC_MSG_ERROR([needed and not found; install with: apt-get install$loci_missing])])
])
