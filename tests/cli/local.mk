# SPDX-License-Identifier: Apache-2.0
#
# tests/cli/: the command from outside. Each script is a list of facts over lib.sh; `tests/cli/train.sh NAME` runs one.
dist_check_SCRIPTS += %D%/causal.sh %D%/compare.sh %D%/embed.sh %D%/generate.sh %D%/man.sh %D%/new_component.sh %D%/outside.sh %D%/plugins.sh \
                      %D%/readme.sh %D%/resume.sh %D%/swap.sh %D%/torture.sh %D%/train.sh %D%/verbs.sh
LONG_TESTS += %D%/kill.sh %D%/new_tree.sh
EXTRA_DIST += %D%/json.c %D%/lib.sh
dist_check_SCRIPTS += %D%/components.sh %D%/doctor.sh %D%/explain.sh %D%/guide.sh %D%/inspect.sh
