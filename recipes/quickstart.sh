#!/usr/bin/env bash
# ECE against BLEU on real text from an empty folder: two small Transformers (alpha 0.0 and 0.1), figures, one report.
# For 2 CPU cores without a GPU. Run the same command again to continue after a stop.
# shellcheck source=recipes/lib.sh
source "$(dirname "$0")/lib.sh"

say "quickstart: 8 to 20 minutes on 2 cores (2 to install, the rest to train two models and to measure)"
set_up fast
# Two runs with a thread each make 1.16 times the updates of one run after the other with two threads.
JOBS=${JOBS:-2} OUT=quickstart bash recipes/home_assistant/run.sh
