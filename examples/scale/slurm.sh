#!/bin/bash
# Submits a command as a Slurm array of shards, and behind it one job that makes the whole. From a folder that all machines see:
#   bash slurm.sh 8 compare --outdir runs/rate --duration 30k --change lr=0.005
# Options of sbatch for every job stand in SBATCH_OPTIONS, e.g. "--partition=cpu --cpus-per-task=8 --time=4:00:00".
set -euo pipefail

shards=$1
shift
job=$(printf '%q ' npx evenkeel "$@")

# A shard that was killed is taken up again where it stopped, so Slurm may requeue it.
# shellcheck disable=SC2086
array=$(sbatch --parsable ${SBATCH_OPTIONS:-} --requeue --array="0-$((shards - 1))" --output=shard-%a.log --open-mode=append \
  --wrap "$job --shard auto")
# shellcheck disable=SC2086
sbatch --parsable ${SBATCH_OPTIONS:-} --dependency="afterany:$array" --output=whole.log --wrap "$job"
