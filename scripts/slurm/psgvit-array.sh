#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# A cohort on Slurm: the command behind this script is run by each task of a job array, with its own
# share of the sample list, and goes on where it was when a task is requeued.
#
#     sbatch --array=0-63 --cpus-per-task=8 scripts/slurm/psgvit-array.sh \
#         osf-infer -m osf.safetensors -o embeddings/ --list samples.lst
#
# As many tasks as make each one an hour or so; --array=0-63%16 runs 16 of them at once. For GPUs
# add --gres=gpu:1. A task that was preempted or lost its node is requeued by Slurm; one that failed
# or ran into its time limit by `scontrol requeue JOB_TASK`. What became of each input is in
# embeddings/manifest-*.jsonl:
#
#     jq -r 'select(.status == "failed") | [.id, .error] | @tsv' embeddings/manifest-*.jsonl
#
# Slurm's IDs of a list such as --array=3,7 don't tell which share is whose: such a task says so and
# ends. Give the whole range again instead; what is complete is skipped.
#
#SBATCH --job-name=psgvit
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output=psgvit-%A_%a.log
set -euo pipefail

if [ $# -eq 0 ]; then
    echo "usage: sbatch --array=0-N $0 osf-infer -m MODEL -o OUT/ --list LIST [option...]" >&2
    exit 2
fi
tool=$1
shift
# In place of the shell, so that Slurm's SIGTERM reaches the tool, which then ends cleanly.
exec "$tool" --shard slurm --resume ${SLURM_CPUS_PER_TASK:+--threads "$SLURM_CPUS_PER_TASK"} "$@"
