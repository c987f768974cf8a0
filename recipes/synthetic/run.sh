#!/usr/bin/env bash
# A grammar whose true probabilities are known: every stage of a recipe in two minutes on 2 cores. The tests run it.
# SCALE=smoke (60 updates, half the time) | cpu (200 updates, the default). The report is out/DATA/report.html, where
# DATA is synthetic_smoke or synthetic. What it shows: README.md beside this file.
# shellcheck source=recipes/lib.sh
source "$(dirname "$0")/../lib.sh"
case ${SCALE:-cpu} in
  smoke) data=synthetic_smoke updates=60 ;;
  cpu) data=synthetic updates=200 ;;
  *) fail "SCALE=$SCALE: choose smoke or cpu" ;;
esac
set_up recipes

run python -m data_prep synthetic --out "data-bin/$data"
train_and_measure() {
  train "$@" transformer_mt_ls_micro --dropout 0.1 --lr 0.004 --warmup-updates 60 \
    --max-tokens 600 --max-update "$updates" --no-epoch-checkpoints
  measure "$@" --temperatures 0.8 1.0 1.25
  activations "$@" ▁der ▁die ▁das
}
translation_models "$data" train_and_measure
report "$data" "runs/${data}_a*_s*"
