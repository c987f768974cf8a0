#!/usr/bin/env bash
# Strings of Home Assistant's interface, English to German: 11 906 pairs by real translators, from the package index.
# SCALE=smoke (a minute) | cpu (about 20 minutes on 2 cores, the default). The report is out/DATA/report.html, where DATA
# is home_assistant_smoke or home_assistant; OUT=NAME puts it in out/NAME. What to expect: README.md beside this file.
# shellcheck source=recipes/lib.sh
source "$(dirname "$0")/../lib.sh"
temperatures=(0.8 0.9 1.0 1.1 1.25 1.5)
case ${SCALE:-cpu} in
  smoke) data=home_assistant_smoke updates=20 temperatures=(1.0) ;;
  cpu) data=home_assistant updates=1250 ;;
  *) fail "SCALE=$SCALE: choose smoke or cpu (this corpus is too small for more)" ;;
esac
set_up recipes

run python -m data_prep home_assistant --out "data-bin/$data"
train_and_measure() {
  train "$@" transformer_mt_ls_small --dropout 0.2 --lr 0.004 --warmup-updates 400 \
    --max-tokens 4096 --max-update "$updates" --no-epoch-checkpoints --validate-interval 3 --save-interval 3
  measure "$@" --temperatures "${temperatures[@]}"
  activations "$@" ▁der ▁die ▁das
}
translation_models "$data" train_and_measure
report "${OUT:-$data}" "runs/${data}_a*_s*"
