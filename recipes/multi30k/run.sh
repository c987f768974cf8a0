#!/usr/bin/env bash
# Multi30k captions, English to German. SCALE=smoke (minutes) | cpu (hours on 2 cores) | paper (one GPU).
# 4 + 4 layers, d 128, ffn 256, 4 heads: "Transformer-Tiny" of Wu et al. 2021, whose schedule this is.
# shellcheck source=recipes/lib.sh
source "$(dirname "$0")/../lib.sh"
scale=${SCALE:-cpu}
case $scale in
  smoke) updates=20 vocabulary=2000 options=() ;;
  cpu) updates=2400 vocabulary=8000 options=() ;;
  paper) updates=8000 vocabulary=8000 options=(--update-freq 2) ;;
  *) fail "SCALE=$scale: choose smoke, cpu or paper" ;;
esac
set_up ""

corpus=multi30k
run python -m data_prep multi30k --out "data-bin/$corpus" --vocab-size "$vocabulary"
for seed in ${SEEDS:-1}; do
  for alpha in ${ALPHAS:-0.0 0.1}; do
    train "$corpus" "$alpha" "$seed" transformer_mt_ls_tiny --dropout 0.3 --lr 0.005 --warmup-updates 2000 \
      --clip-norm 25 --max-tokens 4096 --max-update "$updates" --keep-last-epochs 1 "${options[@]}"
    measure "$corpus" "$alpha" "$seed" 0.8 0.9 1.0 1.1 1.25 1.5
  done
done
run python -m analysis.report runs --corpus multi30k --out out/multi30k
