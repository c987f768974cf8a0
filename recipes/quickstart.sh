#!/usr/bin/env bash
# ECE against BLEU on real text from an empty folder: two small Transformers (alpha 0.0 and 0.1), figures, one report.
# bash recipes/quickstart.sh takes about 20 minutes on 2 CPU cores without a GPU, and writes out/quickstart/report.html.
# Run the same command again to continue after a stop. It is recipes/home_assistant/run.sh with JOBS=2: the variables of
# that recipe choose here, too (bash recipes/home_assistant/run.sh --help).
# PYTHON=/path/to/python names a Python 3.11 or 3.12, and TORCH="torch==VERSION" a build of torch, for the environment
# that it makes in .venv; MT_LS_VENV=FOLDER is an environment to use as it is.
# shellcheck source=recipes/lib.sh
source "$(dirname "$0")/lib.sh"
no_arguments SCALE=smoke "$@"

say "quickstart: about 20 minutes on 2 cores (2 to install, the rest to train two models and to measure)"
# Two runs with a thread each make 1.16 times the updates of one run after the other with two threads.
JOBS=${JOBS:-2} OUT=quickstart bash recipes/home_assistant/run.sh
