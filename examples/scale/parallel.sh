#!/bin/bash
# Runs a command as shards on this machine by GNU parallel, so many at a time, and then makes the whole:
#   bash parallel.sh 4 sample --net net.safetensors --seeds 0-9999 --outdir out
# With --sshloginfile (of parallel, in PARALLEL_OPTIONS) also on others that see the same folder.
set -euo pipefail

export EVENKEEL_SHARDS=$1
shift

# A shard that fails is started again, twice at most, and goes on where it stopped. --line-buffer shows what all say.
# shellcheck disable=SC2086
seq "$EVENKEEL_SHARDS" | parallel ${PARALLEL_OPTIONS:-} --jobs "${JOBS:-2}" --env EVENKEEL_SHARDS --retries 3 --line-buffer --tagstring "shard {#}" \
  --max-args 0 --quote npx evenkeel "$@" --shard auto
npx evenkeel "$@"
