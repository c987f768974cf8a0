#!/usr/bin/env bash
# When does smoothing help? A grid over training pairs x alpha x seeds, and at one size over vocabulary and width.
# SCALE=smoke (minutes) | cpu (a day on 2 cores, the default) | paper (one GPU). Each variable takes a part of the grid:
# SIZES="10000 30000 100000 all" (pairs), ALPHAS, SEEDS (default 1 2 3), PARTS="sizes alphas models" (what varies: the
# pairs; alpha at 30 000 pairs; vocabulary and width at 30 000 pairs). JOBS packs runs, the same command goes on. The
# report is out/DATA/report.html, where DATA is when_smoke, when or when_paper. Protocol and results: README.md beside
# this file.
# shellcheck source=recipes/lib.sh
source "$(dirname "$0")/../lib.sh"
forced=(0.7 0.8 0.9 0.95 1.0 1.05 1.1 1.2 1.3 1.4 1.6) searched=(0.9 1.0 1.1 1.2 1.4)
sizes=(10000 30000 100000 all) middle=30000 vocabulary=2000 large=16000
wide=transformer_mt_ls_mini narrow=transformer_mt_ls_mini_narrow updates=3000 every=150 options=(--dropout 0.2 --lr 0.004)
case ${SCALE:-cpu} in
  smoke)
    data=when_smoke sizes=(300 all) middle=300 vocabulary=300 large=400 updates=100 every=20
    wide=transformer_mt_ls_micro narrow=transformer_mt_ls_mini_narrow forced=(1.0) searched=(1.0)
    ;;
  cpu) data=when ;;
  paper)
    data=when_paper vocabulary=8000 large=32000 updates=40000 every=1000
    wide=transformer_iwslt_de_en narrow=transformer_mt_ls_small options=(--dropout 0.3 --lr 0.002)
    ;;
  *) fail "SCALE=$SCALE: choose smoke, cpu or paper" ;;
esac
read -ra sizes <<<"${SIZES:-${sizes[*]}}"
for size in "${sizes[@]}"; do
  [[ $size =~ ^(all|[1-9][0-9]*)$ ]] || fail "SIZES=$SIZES: give numbers of pairs, or all"
done
for part in ${PARTS:-}; do
  case $part in sizes | alphas | models) ;; *) fail "PARTS=$PARTS: choose of sizes, alphas and models" ;; esac
done
set_up fast
checkpoint=checkpoint_best.pt lr_scheduler=polynomial_decay seeds=${SEEDS:-1 2 3} arch=$wide

# The learning rate falls to 0 over the budget of updates, the same for all. A training ends before if its last five
# validations brought no lower NLL; the checkpoint of the lowest one is measured.
train_and_measure() {
  local here=("$@")
  train "${here[@]}" "$arch" "${options[@]}" --warmup-updates "$((updates / 10))" --total-num-update "$updates" \
    --max-update "$updates" --max-tokens 4096 --no-epoch-checkpoints --validate-interval 1000000 \
    --save-interval 1000000 --validate-interval-updates "$every" --save-interval-updates "$every" \
    --keep-interval-updates 1 --best-checkpoint-metric nll_loss --patience 5
  splits=valid,test,literary measure "${here[@]}" --modes forced --temperatures "${forced[@]}"
  splits='test' measure "${here[@]}" --modes beam --temperatures "${searched[@]}"
  splits=literary measure "${here[@]}" --modes beam --temperatures 1.0
}

# grid SIZE VOCABULARY ALPHAS: the models of one data folder, seed after seed.
grid() {
  local size=$1 folder=${data}_$1 pairs=() seed alpha
  if [ "$2" != "$vocabulary" ]; then folder+=_v$2; fi
  if [ "$size" != all ]; then pairs=(--pairs "$size"); fi
  run python -m data_prep debian --out "data-bin/$folder" --vocab-size "$2" "${pairs[@]}"
  for seed in $seeds; do
    for alpha in ${ALPHAS:-$3}; do
      job "$(run_folder "$folder" "$alpha" "$seed")" train_and_measure "$folder" "$alpha" "$seed"
    done
  done
}

for part in ${PARTS:-sizes alphas models}; do
  case $part in
    sizes) for size in "${sizes[@]}"; do grid "$size" "$vocabulary" "0.0 0.1"; done ;;
    alphas) grid "$middle" "$vocabulary" "0.05 0.2 0.3" ;;
    models)
      grid "$middle" "$large" "0.0 0.1"
      arch=$narrow variant=narrow
      grid "$middle" "$vocabulary" "0.0 0.1"
      grid "$middle" "$large" "0.0 0.1"
      arch=$wide variant=
      ;;
  esac
done
wait_jobs
report "$data" "runs/${data}_*_a*_s*"
