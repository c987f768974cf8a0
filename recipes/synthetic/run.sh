#!/usr/bin/env bash
# A grammar whose true probabilities are known: the whole road in two minutes on 2 cores. The tests run it.
# shellcheck source=recipes/lib.sh
source "$(dirname "$0")/../lib.sh"
set_up ""

run python -m data_prep synthetic --out data-bin/synthetic
for seed in ${SEEDS:-1}; do
  for alpha in ${ALPHAS:-0.0 0.1}; do
    train synthetic "$alpha" "$seed" transformer_mt_ls_micro --dropout 0.1 --lr 0.004 --warmup-updates 60 \
      --max-tokens 600 --max-update "${UPDATES:-200}" --no-epoch-checkpoints
    measure synthetic "$alpha" "$seed" 0.8 1.0 1.25
  done
done
run python -m analysis.report runs --corpus synthetic --out out/synthetic
