#!/usr/bin/env bash
# Time and memory of mt_ls beside those of the stock tools: bash recipes/benchmark.sh [NAME ...]. All by default: on a
# CPU criterion, training, temperatures, decoding, bins, vision, measuring, packing, scale and growth (cost over size:
# recipes/benchmarks.svg); on a GPU criterion, training, vision, measuring and packing. It prints the device first.
# Run it on an idle machine; on two cores with OMP_NUM_THREADS=2. Rows of a CPU and of a GPU are kept side by side.
# temperatures, decoding and measuring measure the quickstart's model, or CHECKPOINT=FILE DATA=FOLDER.
# PRINT=1 shows the command, and runs and installs nothing.
# shellcheck source=recipes/lib.sh
source "$(dirname "$0")/lib.sh"
set_up recipes,test

run python tests/benchmarks "$@"
