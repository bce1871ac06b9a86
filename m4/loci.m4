# SPDX-License-Identifier: Apache-2.0
#
# loci.m4: for a package that builds plugins of loci with autoconf, automake and libtool.
#
#     LOCI_PLUGIN_INIT([1])                          in configure.ac, after LT_INIT; the ABI's major version
#
#     plugindir = $(LOCI_PLUGIN_DIR)                 in Makefile.am
#     plugin_LTLIBRARIES = mine.la
#     mine_la_SOURCES = mine.c
#     mine_la_CPPFLAGS = $(LOCI_CPPFLAGS)
#     mine_la_CFLAGS = $(LOCI_PLUGIN_CFLAGS)
#     mine_la_LDFLAGS = -module $(LOCI_PLUGIN_LDFLAGS)     (automake wants to see the word -module)
#     AM_DISTCHECK_CONFIGURE_FLAGS = --with-loci-plugindir=$$dc_install_base/plugins
#
# A plugin links to nothing of loci. The headers are found by pkg-config (PKG_CONFIG_PATH for a private prefix) or in
# CPPFLAGS. --with-loci-plugindir=DIR installs elsewhere than loci itself looks; name DIR in `[plugins] path` then.
AC_DEFUN([LOCI_PLUGIN_INIT], [
  AC_REQUIRE([PKG_PROG_PKG_CONFIG])
  AC_ARG_WITH([loci-plugindir],
    [AS_HELP_STRING([--with-loci-plugindir=DIR], [where plugins of loci are installed (default: where loci looks)])],
    [LOCI_PLUGIN_DIR=$withval], [LOCI_PLUGIN_DIR=])
  LOCI_CPPFLAGS=
  AS_IF([test -n "$PKG_CONFIG" && $PKG_CONFIG --exists loci], [
    LOCI_CPPFLAGS=`$PKG_CONFIG --cflags loci`
    test -n "$LOCI_PLUGIN_DIR" || LOCI_PLUGIN_DIR=`$PKG_CONFIG --variable=plugindir loci`
  ])
  test -n "$LOCI_PLUGIN_DIR" || LOCI_PLUGIN_DIR='$(libdir)/loci/plugins'

  AC_MSG_CHECKING([for loci/plugin.h, ABI $1])
  loci_plugin_saved_CPPFLAGS=$CPPFLAGS
  CPPFLAGS="$CPPFLAGS $LOCI_CPPFLAGS"
  AC_COMPILE_IFELSE([AC_LANG_PROGRAM([[#include <loci/plugin.h>
#if LOCI_ABI_MAJOR != $1
#error another ABI
#endif]], [])],
    [AC_MSG_RESULT([yes])],
    [AC_MSG_RESULT([no])
     AC_MSG_ERROR([loci/plugin.h with ABI $1 was not found; install loci, or set PKG_CONFIG_PATH or CPPFLAGS to where it is])])
  CPPFLAGS=$loci_plugin_saved_CPPFLAGS

  # Clang with a sanitizer leaves its run-time symbols undefined in a shared object, which -z defs refuses.
  AC_MSG_CHECKING([whether a shared object links with -z defs])
  loci_plugin_saved_LDFLAGS=$LDFLAGS
  LDFLAGS="$LDFLAGS -shared -fPIC -Wl,-z,defs"
  AC_LINK_IFELSE([AC_LANG_SOURCE([[int f(int *p); int f(int *p) { return p[0] + p[1]; }]])],
    [AC_MSG_RESULT([yes]); loci_plugin_defs=-Wl,-z,defs], [AC_MSG_RESULT([no]); loci_plugin_defs=])
  LDFLAGS=$loci_plugin_saved_LDFLAGS

  LOCI_PLUGIN_CFLAGS=-fvisibility=hidden
  LOCI_PLUGIN_LDFLAGS="-avoid-version -shared -export-symbols-regex '^loci_plugin_v$1\$\$' $loci_plugin_defs -Wl,-z,nodelete"
  AC_SUBST([LOCI_CPPFLAGS])
  AC_SUBST([LOCI_PLUGIN_DIR])
  AC_SUBST([LOCI_PLUGIN_CFLAGS])
  AC_SUBST([LOCI_PLUGIN_LDFLAGS])
])
