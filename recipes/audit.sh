#!/usr/bin/env bash
# Is a model calibrated, and would a temperature help? bash recipes/audit.sh DATA_BIN CHECKPOINT [MORE CHECKPOINTS]
# measures fairseq checkpoints on the valid and test sets of a binarised folder. bash recipes/audit.sh FOLDER [MORE]
# takes translations of any system: hypotheses.txt, references.txt and tokens.jsonl, one JSON line a token (see
# python -m mt_ls.measure_text --help). Records and report are in OUT (default out/audit); each model is one line there.
# BEAM=5, TEMPERATURES="0.7 1.0 1.3" and SPLITS="valid test" are options. Run the same command again to continue.
here=$PWD
# shellcheck source=recipes/lib.sh
source "$(dirname "$0")/lib.sh"
[ $# -gt 0 ] || fail "name a binarised folder and its checkpoints, or folders of translations (see the head of $0)"
read -ra temperatures <<<"${TEMPERATURES:-0.7 0.8 0.9 1.0 1.1 1.2 1.3 1.5}"
read -ra splits <<<"${SPLITS:-valid test}"
out=${OUT:-out/audit}
set_up fast

# The full name of a path that is relative to the caller's folder.
absolute() { (cd "$here" && realpath -e -- "$1" 2>/dev/null) || fail "no such file or folder: $1"; }

audit_text() {
  run python -m mt_ls.measure_text "$1" --records "$out/$(basename "$1")/records.jsonl"
}

# The name of a checkpoint's run: its folder's name and its own, so that two checkpoints of one folder differ.
name_of() {
  local folder
  folder=$(dirname "$1")
  if [ "$(basename "$folder")" = checkpoints ]; then folder=$(dirname "$folder"); fi
  printf '%s-%s' "$(basename "$folder")" "$(basename "$1" .pt)"
}

audit_checkpoint() {
  local data=$1 checkpoint=$2 name=$3 split
  for split in "${splits[@]}"; do
    run python -m mt_ls.measure "$data" --path "$checkpoint" --run "$name" --gen-subset "$split" \
      --fit-subset "${splits[0]}" --temperatures "${temperatures[@]}" --beam "${BEAM:-5}" \
      --records "$out/$name/records.jsonl"
  done
}

paths=() names=()
for path in "$@"; do paths+=("$(absolute "$path")"); done
if [ -e "${paths[0]}/tokens.jsonl" ]; then
  models=("${paths[@]}")
  for folder in "${models[@]}"; do names+=("$(basename "$folder")"); done
else
  models=("${paths[@]:1}")
  [ ${#models[@]} -gt 0 ] || fail "$1 holds no tokens.jsonl, and no checkpoint is named"
  for checkpoint in "${models[@]}"; do names+=("$(name_of "$checkpoint")"); done
fi
twice=$(printf '%s\n' "${names[@]}" | sort | uniq -d)
[ -z "$twice" ] || fail "two models would have the name $twice: audit them in two commands with two folders OUT"
for i in "${!names[@]}"; do
  if [ -e "${paths[0]}/tokens.jsonl" ]; then
    audit_text "${models[i]}"
  else
    audit_checkpoint "${paths[0]}" "${models[i]}" "${names[i]}"
  fi
done
# The models of this audit alone: OUT may hold earlier audits on other data.
run python -m analysis.report "${names[@]/#/$out/}" --by run --out "$out"
