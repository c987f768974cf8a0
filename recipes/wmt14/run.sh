#!/usr/bin/env bash
# The paper's own experiment: WMT14 English to German, Transformer base, 300 000 updates of 4 096 tokens with no
# averaging of checkpoints.
# SCALE=paper (GPUs, the default) | smoke (the synthetic corpus, minutes). The report is out/DATA/report.html, where
# DATA is wmt14 or wmt14_smoke. Protocol: README.md beside this file.
# shellcheck source=recipes/lib.sh
source "$(dirname "$0")/../lib.sh"
adam_betas='(0.9, 0.997)'
temperatures=(0.6 0.7 0.8 0.9 0.95 1.0 1.05 1.1 1.13 1.2 1.3 1.4)
case ${SCALE:-paper} in
  smoke)
    corpus=synthetic data=wmt14_smoke arch=transformer_mt_ls_micro tokens=1200 lr=0.004 warmup=20 updates=60
    temperatures=(1.0)
    ;;
  paper) corpus=wmt14 data=wmt14 arch=transformer_wmt_en_de tokens=4096 lr=0.000988 warmup=8000 updates=300000 ;;
  *) fail "SCALE=$SCALE: choose smoke or paper" ;;
esac
set_up recipes
set_batch "$tokens"

run python -m data_prep "$corpus" --out "data-bin/$data"
train_and_measure() {
  # the rate is 2.0 * 512^-0.5 * 8000^-0.5, that of Tensor2Tensor at the end of its warm-up
  train "$@" "$arch" --encoder-normalize-before --decoder-normalize-before --dropout 0.1 \
    --attention-dropout 0.1 --activation-dropout 0.1 --adam-eps 1e-9 --lr "$lr" --warmup-updates "$warmup" \
    --max-source-positions 512 --max-target-positions 512 "${batch[@]}" --max-update "$updates" \
    --save-interval-updates 5000 --keep-interval-updates 2 --no-epoch-checkpoints
  measure "$@" --temperatures "${temperatures[@]}"
  activations "$@" ▁der ▁die ▁das
}
translation_models "$data" train_and_measure
report "$data" "runs/${data}_a*_s*"
