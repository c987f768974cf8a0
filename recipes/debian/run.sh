#!/usr/bin/env bash
# Text of Debian's packages, English to German: 221 000 pairs of messages, help and descriptions, by real translators.
# SCALE=smoke (minutes) | cpu (two hours on 2 cores, the default) | paper (one GPU). PAIRS=30000 trains on a part of the
# corpus. The report is out/DATA/report.html, where DATA is debian_smoke, debian or debian_paper, and of a part
# debian_30000. Protocol: README.md beside this file.
# shellcheck source=recipes/lib.sh
source "$(dirname "$0")/../lib.sh"
temperatures=(0.8 0.9 1.0 1.1 1.2 1.3 1.5)
training=(transformer_mt_ls_mini --dropout 0.2 --lr 0.004 --warmup-updates 400 --max-tokens 4096 --max-update 4000)
case ${SCALE:-cpu} in
  smoke)
    data=debian_smoke vocabulary=1000 temperatures=(1.0)
    training=(transformer_mt_ls_micro --lr 0.004 --warmup-updates 10 --max-tokens 4096 --max-update 100)
    ;;
  cpu) data=debian vocabulary=8000 ;;
  paper)
    data=debian_paper vocabulary=10000
    set_batch 8192
    training=(transformer_iwslt_de_en --dropout 0.3 --weight-decay 1e-4 --lr 0.0005 --warmup-updates 4000
      "${batch[@]}" --max-update 40000)
    ;;
  *) fail "SCALE=$SCALE: choose smoke, cpu or paper" ;;
esac
part=()
if [ -n "${PAIRS:-}" ]; then
  [[ $PAIRS =~ ^[1-9][0-9]*$ ]] || fail "PAIRS=$PAIRS: give a whole number greater than 0"
  part=(--pairs "$PAIRS") data=${data}_$PAIRS
fi
set_up recipes

run python -m data_prep debian --out "data-bin/$data" --vocab-size "$vocabulary" "${part[@]}"
train_and_measure() {
  train "$@" "${training[@]}" --no-epoch-checkpoints
  measure "$@" --temperatures "${temperatures[@]}"
  measure_literary "$@"
}
# The stories are another domain: the temperature is that of valid, and the search has no grid.
measure_literary() {
  splits=literary measure "$@" --modes forced --temperatures "${temperatures[@]}"
  splits=literary measure "$@" --modes beam --temperatures 1.0
}
translation_models "$data" train_and_measure
report "$data" "runs/${data}_a*_s*"
