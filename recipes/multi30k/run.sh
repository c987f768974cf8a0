#!/usr/bin/env bash
# Multi30k captions, English to German: temperatures, beams and clusters of a small Transformer (4 + 4 layers, d 128,
# ffn 256, 4 heads: "Transformer-Tiny" of Wu et al. 2021, whose schedule this is).
# SCALE=smoke (minutes) | cpu (hours on 2 cores, the default) | paper (one GPU). The report is out/DATA/report.html,
# where DATA is multi30k_smoke, multi30k or multi30k_paper. Protocol and results: README.md beside this file.
# AVERAGE=10 also measures the average of each training's last ten checkpoints of epochs (of updates with SCALE=smoke),
# as a model beside the last checkpoint. It needs a training that kept them (default: none).
# SPLITS="test test_2017_flickr" names the test sets to measure, of those in a folder of your own (default: test).
# shellcheck source=recipes/lib.sh
source "$(dirname "$0")/../lib.sh"
forced=(0.6 0.7 0.8 0.85 0.9 0.95 1.0 1.05 1.1 1.15 1.2 1.3 1.4 1.6 1.8)
searched=(0.7 0.8 0.9 0.95 1.0 1.05 1.1 1.2 1.3 1.4 1.6 1.8)
# Other searches at T = 1, as BEAM:LENGTH_PENALTY; the one over temperatures has 5:1.
others=(1:1 20:1 50:1 50:0 5:0 5:0.5 5:1.5 5:2)
case ${SCALE:-cpu} in
  smoke) data=multi30k_smoke updates=20 vocabulary=2000 accumulate=1 forced=(1.0) searched=(1.0) others=(2:1) ;;
  cpu) data=multi30k updates=4000 vocabulary=8000 accumulate=1 ;;
  # two batches an update, as on the two GPUs of Wu et al.
  paper) data=multi30k_paper updates=8000 vocabulary=8000 accumulate=2 ;;
  *) fail "SCALE=$SCALE: choose smoke, cpu or paper" ;;
esac
keep=(--keep-last-epochs "${average:-1}") period=epoch
if [ -n "$average" ] && [ "$data" = multi30k_smoke ]; then # it ends before its first epoch does
  keep=(--keep-last-epochs 1 --save-interval-updates 2 --keep-interval-updates "$average") period=update
fi
set_up recipes

splits=valid,${SPLITS:-test}
splits=${splits// /,}
run python -m data_prep multi30k --out "data-bin/$data" --vocab-size "$vocabulary"
for split in ${SPLITS:-}; do
  [ -n "${PRINT:-}" ] || [ -e "data-bin/$data/text/$split.en" ] ||
    fail "SPLITS=$SPLITS: the data have no $split: put $split.en and $split.de into the folder that data_prep reads"
done
train_and_measure() {
  train "$@" transformer_mt_ls_tiny --dropout 0.3 --lr 0.005 --warmup-updates 2000 \
    --clip-norm 25 --max-tokens 4096 --max-update "$updates" "${keep[@]}" --update-freq "$accumulate"
  measure_all "$@"
  if [ -n "$average" ]; then
    average_checkpoints "$@" "$period"
    checkpoint=average$average.pt measure_all "$@"
  fi
}
measure_all() {
  measure "$@" --modes forced --temperatures "${forced[@]}"
  measure "$@" --modes beam --temperatures "${searched[@]}"
  for search in "${others[@]}"; do
    measure "$@" --modes beam --temperatures 1.0 --beam "${search%:*}" --lenpen "${search#*:}" --fit-subset none
  done
  activations "$@" ▁ein ▁eine ▁einen
}
translation_models "$data" train_and_measure
report "$data" "runs/${data}_a*_s*"
