#!/usr/bin/env bash
# From nothing to ECE against BLEU: real text, two small Transformers (alpha 0.0 and 0.1), figures and one report.
# Made for 2 CPU cores and no GPU. The same command again goes on where it stopped.
# shellcheck source=recipes/lib.sh
source "$(dirname "$0")/lib.sh"

say "quickstart: about 20 minutes on 2 cores (2 to install, 13 to train two models, 4 to measure)"
set_up fast
OUT=quickstart bash recipes/home_assistant/run.sh
