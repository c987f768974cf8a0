#!/usr/bin/env bash
# TED talks, English to German, with fairseq's model and schedule for this corpus.
# SCALE=paper (one GPU, the default) | smoke (the synthetic corpus, minutes). The report is out/DATA/report.html, where
# DATA is iwslt14 or iwslt14_smoke. Protocol: README.md beside this file.
# shellcheck source=recipes/lib.sh
source "$(dirname "$0")/../lib.sh"
temperatures=(0.6 0.7 0.8 0.9 0.95 1.0 1.05 1.1 1.15 1.2 1.3 1.4)
case ${SCALE:-paper} in
  smoke)
    corpus=synthetic data=iwslt14_smoke arch=transformer_mt_ls_micro tokens=1200 lr=0.004 warmup=20 updates=60
    temperatures=(1.0)
    ;;
  paper) corpus=iwslt14 data=iwslt14 arch=transformer_iwslt_de_en tokens=4096 lr=0.0005 warmup=4000 updates=50000 ;;
  *) fail "SCALE=$SCALE: choose smoke or paper" ;;
esac
set_up recipes
set_batch "$tokens"

run python -m data_prep "$corpus" --out "data-bin/$data"
train_and_measure() {
  train "$@" "$arch" --dropout 0.3 --weight-decay 0.0001 --lr "$lr" \
    --warmup-updates "$warmup" --max-source-positions 512 --max-target-positions 512 "${batch[@]}" \
    --max-update "$updates" --save-interval-updates 2000 --keep-interval-updates 2 --no-epoch-checkpoints
  measure "$@" --temperatures "${temperatures[@]}"
}
translation_models "$data" train_and_measure
report "$data" "runs/${data}_a*_s*"
