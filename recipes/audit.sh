#!/usr/bin/env bash
# Is a model calibrated, and would a temperature help? An answer for each model, with its evidence, in one page.
#
#   bash recipes/audit.sh DATA-BIN CHECKPOINT [MORE CHECKPOINTS]   fairseq checkpoints on a binarised folder
#   bash recipes/audit.sh FOLDER [MORE FOLDERS]                    translations of any system, without its model
#
# A FOLDER holds hypotheses.txt, references.txt, and tokens.jsonl with one line a token (python -m mt_ls.measure_text
# --help). All arguments are checked before the first measurement. Run the same command again to continue.
#
# Variables in front of the command:
#   OUT=out/audit                     folder of records and report, from the folder that you are in
#   SPLITS="test"                     splits to report on
#   FIT=valid                         split that chooses the temperatures; it is measured too
#   TEMPERATURES="0.7 1.0 1.3"        temperatures to measure (default: eight from 0.7 to 1.5); 1.0 always is
#   BEAM=5                            hypotheses that the search keeps
# Translations without a model are of one split, and take neither FIT, TEMPERATURES nor BEAM.
[ -n "${BASH_VERSION:-}" ] || exec bash "$0" "$@" # as in: sh recipes/audit.sh
here=$PWD
# shellcheck source=recipes/lib.sh
source "$(dirname "$(readlink -f -- "$0")")/lib.sh" # a link to this file is one to the recipe
[ $# -gt 0 ] || fail "name a binarised folder and its checkpoints, or folders of translations: bash $0 --help"
[ -z "${PRINT:-}" ] || fail "PRINT=1 is for experiments; an audit is one command: python -m mt_ls.audit --help"
printf 'audit: loading what measures; then all arguments are checked\n' >&2

paths=()
for path in "$@" "${OUT:-out/audit}"; do
  case $path in
    /*) paths+=("$path") ;;
    *) paths+=("$here/$path") ;;
  esac
done
out=${paths[-1]}
unset 'paths[-1]'
options=()
# option NAME WORDS: an option of mt_ls.audit with the words of a variable, unless it is empty.
option() {
  local words
  read -rd '' -a words <<<"$2" || true # it ends at a NUL, which no variable holds
  if ((${#words[@]})); then options+=("$1" "${words[@]}"); fi
}
option --splits "${SPLITS:-}"
option --fit-subset "${FIT:-}"
option --temperatures "${TEMPERATURES:-}"
option --beam "${BEAM:-}"
set_up recipes
folders=$(python -m mt_ls.audit "${paths[@]}" --out "$out" "${options[@]}")
mapfile -t folders <<<"$folders"
# The models of this audit alone: OUT may hold those of others.
python -m analysis.report "${folders[@]/#/"$out"/}" --by run --out "$out"
