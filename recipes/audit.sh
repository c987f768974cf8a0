#!/usr/bin/env bash
# Is a model calibrated, and would a temperature help? An answer for each model, with its evidence, in one page.
#
#   bash recipes/audit.sh DATA-BIN CHECKPOINT [MORE CHECKPOINTS]   fairseq checkpoints on a binarised folder
#   bash recipes/audit.sh --hf MODEL SOURCES REFERENCES            a Hugging Face model, by folder or name on the hub
#   bash recipes/audit.sh FOLDER [MORE FOLDERS]                    translations of any system, without its model
#
# SOURCES and REFERENCES are text files, one detokenised sentence a line. Two more such files behind them choose the
# temperatures; without them every other line does. --hf MODEL may stand several times.
# A FOLDER holds hypotheses.txt, references.txt, and tokens.jsonl with one line a token (python -m mt_ls.measure_text
# --help). All arguments are checked before the first measurement. Run the same command again to continue.
#
# Variables in front of the command:
#   OUT=out/audit                     folder of records and report, from the folder that you are in
#   SPLITS="test"                     splits to report on
#   FIT=valid                         split that chooses the temperatures; it is measured too
#   TEMPERATURES="0.7 1.0 1.3"        temperatures to measure (default: eight from 0.7 to 1.5); 1.0 always is
#   BEAM=5                            hypotheses that the search keeps
#   SOURCE_LANGUAGE=eng_Latn TARGET_LANGUAGE=deu_Latn   languages, of a Hugging Face model of several
# Translations without a model are of one split, and take neither FIT, TEMPERATURES nor BEAM.
[ -n "${BASH_VERSION:-}" ] || exec bash "$0" "$@" # as in: sh recipes/audit.sh
here=$PWD
# shellcheck source=recipes/lib.sh
source "$(dirname "$(readlink -f -- "$0")")/lib.sh" # a link to this file is one to the recipe
[ $# -gt 0 ] || fail "name data and models, or folders of translations: bash $0 --help"
[ -z "${PRINT:-}" ] || fail "PRINT=1 is for experiments; an audit is one command: python -m mt_ls.audit --help"
printf 'audit: loading what measures; then all arguments are checked\n' >&2

# absolute PATH: from the folder that the user is in. Standard output.
absolute() {
  case $1 in
    /*) printf '%s' "$1" ;;
    *) printf '%s' "$here/$1" ;;
  esac
}

paths=() options=() extras=recipes
while (($#)); do
  if [ "$1" = --hf ]; then
    (($# > 1)) || fail "--hf needs a model: a folder, or a name on the hub"
    extras=recipes,hf
    # What is no folder here is a name on the hub.
    if [ -e "$here/$2" ]; then options+=(--hf "$(absolute "$2")"); else options+=(--hf "$2"); fi
    shift 2
  else
    paths+=("$(absolute "$1")")
    shift
  fi
done
out=$(absolute "${OUT:-out/audit}")
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
option --source-language "${SOURCE_LANGUAGE:-}"
option --target-language "${TARGET_LANGUAGE:-}"
set_up "$extras"
folders=$(python -m mt_ls.audit "${paths[@]}" --out "$out" "${options[@]}")
mapfile -t folders <<<"$folders"
# The models of this audit alone: OUT may hold those of others.
python -m analysis.report "${folders[@]/#/"$out"/}" --by run --out "$out"
