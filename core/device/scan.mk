# core/device/scan: the tests of loci.scan/1. Its sources are in local.mk, with the libraries of the instruction sets.
check_PROGRAMS += tests/unit/test_coef tests/unit/test_scan tests/unit/test_scan_same tests/unit/test_scan_l
tests_unit_test_scan_SOURCES = tests/unit/test_scan.c tests/unit/test_scan.h tests/unit/host.h tests/ck.h
tests_unit_test_scan_LDADD = libloci.la $(CUNIT_LIBS) -lm
tests_unit_test_scan_same_SOURCES = tests/unit/test_scan_same.c tests/unit/test_scan.h tests/unit/host.h tests/ck.h
tests_unit_test_scan_same_LDADD = libloci.la $(CUNIT_LIBS) -lm
tests_unit_test_scan_l_SOURCES = tests/unit/test_scan_l.c tests/unit/test_scan.h tests/unit/host.h tests/ck.h
tests_unit_test_scan_l_LDADD = libloci.la $(CUNIT_LIBS) -lm

# What they cost: make bench/scan
BENCH_PROGS += bench/scan
bench_scan_SOURCES = bench/scan.c tests/unit/test_scan.h tests/unit/host.h tests/ck.h
bench_scan_LDADD = libloci.la $(CUNIT_LIBS) -lm
tests_unit_test_coef_SOURCES = tests/unit/test_coef.c tests/unit/ops_tools.h tests/unit/host.h tests/ck.h
tests_unit_test_coef_LDADD = libloci.la $(CUNIT_LIBS) -lm
