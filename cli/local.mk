# SPDX-License-Identifier: Apache-2.0
#
# cli/: the command, a file per verb. It links the archive, not the shared library: <build>/loci runs where it lies.
bin_PROGRAMS += loci
loci_SOURCES = %D%/apply.c %D%/apply.h %D%/apply_attention.c %D%/apply_desc.c %D%/apply_read.c %D%/apply_size.c \
               %D%/apply_write.c %D%/bench.c %D%/bench_ask.c %D%/bench.h %D%/bench_list.c %D%/bench_print.c \
               %D%/check.c %D%/check.h %D%/check_junit.c %D%/cli.h %D%/common.c %D%/component.c %D%/component.h \
               %D%/compare.c %D%/config.c %D%/doctor.c %D%/doctor.h %D%/doctor_machine.c %D%/eval.c %D%/explain.c \
               %D%/explain.h %D%/explain_text.c %D%/generate.c %D%/generate.h %D%/generate_answer.c \
               %D%/generate_talk.c %D%/info.c %D%/info.h %D%/info_ports.c %D%/info_text.c %D%/inspect.c \
               %D%/inspect.h %D%/inspect_diff.c %D%/inspect_file.c %D%/inspect_gates.c %D%/inspect_run.c \
               %D%/inspect_tensor.c %D%/list.c %D%/list.h %D%/list_deep.c %D%/main.c %D%/new.c %D%/new.h \
               %D%/new_find.c %D%/new_write.c %D%/text.c %D%/train.c %D%/version.c
loci_LDADD = libloci.la -lm
