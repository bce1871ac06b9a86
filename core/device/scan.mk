# core/device/scan: the tests of loci.scan/1. Its sources are in local.mk, with the libraries of the instruction sets.
check_PROGRAMS += tests/unit/test_coef tests/unit/test_scan tests/unit/test_scan_same tests/unit/test_scan_l
tests_unit_test_scan_SOURCES = tests/unit/test_scan.c tests/unit/test_scan.h tests/unit/host.h tests/ck.h
tests_unit_test_scan_LDADD = libloci.la $(CUNIT_LIBS) -lm
tests_unit_test_scan_same_SOURCES = tests/unit/test_scan_same.c tests/unit/test_scan.h tests/unit/host.h tests/ck.h
tests_unit_test_scan_same_LDADD = libloci.la $(CUNIT_LIBS) -lm
tests_unit_test_scan_l_SOURCES = tests/unit/test_scan_l.c tests/unit/test_scan.h tests/unit/host.h tests/ck.h
tests_unit_test_scan_l_LDADD = libloci.la $(CUNIT_LIBS) -lm

# The same tests of the instance for 16 lanes, on machines that have registers of 8. Vectors that must be split take a
# compiler minutes at -O3.
check_LTLIBRARIES += tests/unit/libscan_wide.la
tests_unit_libscan_wide_la_SOURCES = tests/unit/scan_wide.c tests/unit/scan_wide_table.c tests/unit/scan_wide.inc
tests_unit_libscan_wide_la_CPPFLAGS = $(AM_CPPFLAGS) -DSCAN_INC='"tests/unit/scan_wide.inc"'
tests_unit_libscan_wide_la_CFLAGS = $(AM_CFLAGS) -O1 -fno-math-errno -Wno-psabi
check_PROGRAMS += tests/unit/test_scan_wide tests/unit/test_scan_same_wide tests/unit/test_scan_l_wide
tests_unit_test_scan_wide_SOURCES = tests/unit/test_scan.c tests/unit/test_scan.h tests/unit/host.h tests/ck.h
tests_unit_test_scan_wide_CPPFLAGS = $(AM_CPPFLAGS) -DCK_SCAN_TABLE=loci_wide_scan
tests_unit_test_scan_wide_LDADD = tests/unit/libscan_wide.la libloci.la $(CUNIT_LIBS) -lm
tests_unit_test_scan_same_wide_SOURCES = tests/unit/test_scan_same.c tests/unit/test_scan.h tests/unit/host.h tests/ck.h
tests_unit_test_scan_same_wide_CPPFLAGS = $(AM_CPPFLAGS) -DCK_SCAN_TABLE=loci_wide_scan
tests_unit_test_scan_same_wide_LDADD = tests/unit/libscan_wide.la libloci.la $(CUNIT_LIBS) -lm
tests_unit_test_scan_l_wide_SOURCES = tests/unit/test_scan_l.c tests/unit/test_scan.h tests/unit/host.h tests/ck.h
tests_unit_test_scan_l_wide_CPPFLAGS = $(AM_CPPFLAGS) -DCK_SCAN_TABLE=loci_wide_scan
tests_unit_test_scan_l_wide_LDADD = tests/unit/libscan_wide.la libloci.la $(CUNIT_LIBS) -lm

# What they cost: make bench/scan
BENCH_PROGS += bench/scan
bench_scan_SOURCES = bench/scan.c tests/unit/test_scan.h tests/unit/host.h tests/ck.h
bench_scan_LDADD = libloci.la $(CUNIT_LIBS) -lm
tests_unit_test_coef_SOURCES = tests/unit/test_coef.c tests/unit/ops_tools.h tests/unit/host.h tests/ck.h
tests_unit_test_coef_LDADD = libloci.la $(CUNIT_LIBS) -lm
