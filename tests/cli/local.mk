# SPDX-License-Identifier: Apache-2.0
#
# tests/cli/: the command from outside. Each script is a list of facts over lib.sh; `tests/cli/train.sh NAME` runs one.
dist_check_SCRIPTS += %D%/apply.sh %D%/bad.sh %D%/bench.sh %D%/causal.sh %D%/check.sh %D%/compare.sh %D%/components.sh \
                      %D%/doctor.sh %D%/embed.sh %D%/explain.sh %D%/generate.sh %D%/gpu_check.sh %D%/guide.sh %D%/inspect.sh %D%/man.sh \
                      %D%/new.sh %D%/new_component.sh %D%/outside.sh %D%/parity.sh %D%/plugins.sh %D%/readme.sh \
                      %D%/resume.sh %D%/swap.sh %D%/tasks.sh %D%/torture.sh %D%/train.sh %D%/ttt.sh %D%/verbs.sh
LONG_TESTS += %D%/kill.sh %D%/new_tree.sh %D%/recall.sh
EXTRA_DIST += %D%/json.c %D%/lib.sh %D%/tensors.c
