#!/usr/bin/env bash
# When does smoothing help? A grid over training pairs x alpha x seeds, and at one size over vocabulary and width.
# SCALE=smoke (minutes) | cpu (one day on 2 cores, the default) | paper (one GPU). SIZES="10000 30000 100000 all" (pairs),
# ALPHAS, SEEDS (default 1 2 3) and PARTS="sizes alphas models" take a part of the grid. Parts: the sizes; alpha at
# 30 000 pairs; vocabulary and width at 30 000 pairs. JOBS packs runs, the same command goes on.
# The report is out/DATA/report.html, where DATA is when_smoke, when or when_paper, and out/DATA/published has the
# records of the runs that have ended. Protocol and results: README.md beside this file.
# shellcheck source=recipes/lib.sh
source "$(dirname "$0")/../lib.sh"
temperatures=(0.7 0.8 0.9 0.95 1.0 1.05 1.1 1.2 1.3 1.4 1.6) searched=(0.9 1.0 1.2)
sizes=(10000 30000 100000 all) middle=30000 vocabulary=2000 large=16000 updates=6000 every=200 tokens=2048
wide=transformer_mt_ls_mini narrow=transformer_mt_ls_mini_narrow
options=(--dropout 0.1 --lr 0.004 --warmup-updates 400 --encoder-normalize-before --decoder-normalize-before)
lr_scheduler=polynomial_decay # linear, to 0 at the last update
case ${SCALE:-cpu} in
  smoke)
    data=when_smoke sizes=(300 all) middle=300 vocabulary=1000 large=1200 updates=100 every=20
    wide=transformer_mt_ls_micro tokens=4096 options=(--lr 0.004 --warmup-updates 10) temperatures=(1.0) searched=(1.0)
    ;;
  cpu) data=when ;;
  paper)
    data=when_paper vocabulary=8000 large=32000 updates=50000 every=1000 tokens=4096
    wide=transformer_iwslt_de_en narrow=transformer_mt_ls_small
    options=(--dropout 0.3 --lr 0.002 --warmup-updates 4000)
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
set_up recipes
checkpoint=checkpoint_best.pt arch=$wide

# A training ends when its last ten validations have brought no lower NLL; the checkpoint of the lowest is measured.
train_and_measure() {
  train "$@" "$arch" "${options[@]}" --total-num-update "$updates" --max-update "$updates" --max-tokens "$tokens" \
    --no-epoch-checkpoints --validate-interval 1000000 --save-interval 1000000 --validate-interval-updates "$every" \
    --save-interval-updates "$every" --keep-interval-updates 1 --best-checkpoint-metric nll_loss --patience 10
  splits=valid,test,literary measure "$@" --modes forced --temperatures "${temperatures[@]}"
  splits="test" measure "$@" --modes beam --temperatures "${searched[@]}"
  splits="literary" measure "$@" --modes beam --temperatures 1.0
  publish
}

# The run folders of this scale, of a number of pairs or of all: when_smoke_300 is none of when.
pattern="runs/${data}_[0-9a]*_a*_s*"

# publish: the records so far, in out/DATA/published. Jobs take turns. Code that is in no commit publishes nothing.
publish() {
  if [ -n "${PRINT:-}" ]; then
    printf 'python -m analysis.publish %s --compact --out %s\n' "$pattern" "$(show "out/$data/published")"
    return
  fi
  mkdir -p "out/$data"
  (
    flock 8
    # shellcheck disable=SC2086  # the shell expands the pattern
    python -m analysis.publish $pattern --compact --out "out/$data/published" || true
  ) 8>"out/$data/lock"
}

# chosen ALPHAS: those of them that the variable ALPHAS names, or all.
chosen() {
  local alpha one
  for alpha in $1; do
    for one in ${ALPHAS:-$1}; do
      if [ "$(printf '%.4f' "$alpha")" = "$(printf '%.4f' "$one")" ]; then printf '%s ' "$alpha"; fi
    done
  done
}

# grid SIZE VOCABULARY ALPHAS: the models of one data folder, seed after seed. Only of a size in SIZES.
grid() {
  local size=$1 folder=${data}_$1 pairs=() seed alpha
  [[ " ${sizes[*]} " == *" $size "* ]] || return 0
  if [ "$2" != "$vocabulary" ]; then folder+=_v$2; fi
  if [ "$size" != all ]; then pairs=(--pairs "$size"); fi
  run python -m data_prep debian --out "data-bin/$folder" --vocab-size "$2" "${pairs[@]}"
  for seed in ${SEEDS:-1 2 3}; do
    for alpha in $(chosen "$3"); do
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
report "$data" "$pattern"
