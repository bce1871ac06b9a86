# SPDX-License-Identifier: Apache-2.0
#
# cli/: the command, a file per verb. It links the archive, not the shared library: <build>/loci runs where it lies.
bin_PROGRAMS += loci
loci_SOURCES = %D%/cli.h %D%/common.c %D%/compare.c %D%/config.c %D%/eval.c %D%/generate.c %D%/generate.h %D%/generate_answer.c %D%/generate_talk.c %D%/info.c %D%/list.c %D%/main.c \
               %D%/train.c %D%/version.c
loci_LDADD = libloci.la -lm
