#!/usr/bin/env bash
# Time and memory of mt_ls beside those of the stock tools: bash recipes/benchmark.sh [NAME ...], all by default, of
# criterion, training, temperatures, decoding, measuring, bins, vision, scale and growth (recipes/benchmarks.svg).
# Run it on an idle machine, on two cores with OMP_NUM_THREADS=2; on a GPU it synchronises and reports the GPU's memory.
# `temperatures`, `decoding` and `measuring` measure the quickstart's model, or CHECKPOINT=FILE DATA=FOLDER.
# shellcheck source=recipes/lib.sh
source "$(dirname "$0")/lib.sh"
set_up fast,test

run python tests/benchmarks "$@"
