#!/usr/bin/env bash
# Strings of Home Assistant's interface, English to German: 11 906 pairs, real translators, no hub needed.
# Two models by default; expect (seed 1, 2 cores): see README.md beside this file.
# shellcheck source=recipes/lib.sh
source "$(dirname "$0")/../lib.sh"
set_up ""

run python -m data_prep home_assistant --out data-bin/home_assistant
for seed in ${SEEDS:-1}; do
  for alpha in ${ALPHAS:-0.0 0.1}; do
    train home_assistant "$alpha" "$seed" transformer_mt_ls_small --dropout 0.2 --lr 0.004 --warmup-updates 400 \
      --max-tokens 4096 --max-update "${UPDATES:-1000}" --no-epoch-checkpoints
    measure home_assistant "$alpha" "$seed" 0.8 1.0 1.2 1.4
  done
done
run python -m analysis.report runs --corpus home_assistant --out out/quickstart
