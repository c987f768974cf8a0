#!/usr/bin/env bash
# Our fast paths side by side with the stock tools: bash recipes/benchmark.sh [NAME ...], of
# criterion, training, temperatures, decoding, bins, vision and growth (how cost grows; draws recipes/benchmarks.svg).
# Run it on an idle machine, on two cores with OMP_NUM_THREADS=2; on a GPU it synchronises and reports its peak memory.
# `temperatures` and `decoding` take the quickstart's model, or CHECKPOINT=FILE DATA=FOLDER.
# shellcheck source=recipes/lib.sh
source "$(dirname "$0")/lib.sh"
set_up fast,test

run python tests/benchmarks "$@"
