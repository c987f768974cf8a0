# shellcheck shell=bash
# What every recipe shares: a strict shell, the environment, and stages that run once. Source it; do not run it.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

fail() {
  printf 'error: %s\n' "$*" >&2
  exit 1
}

say() { printf '\n== %s\n' "$*" >&2; }

# Run a command, or only show it with PRINT=1.
run() {
  if [ -n "${PRINT:-}" ]; then
    printf '%q ' "$@"
    printf '\n'
  else
    "$@"
  fi
}

find_python() {
  local python candidates=(python3.12 python3.11 python3)
  if [ -n "${PYTHON:-}" ]; then candidates=("$PYTHON"); fi
  for python in "${candidates[@]}"; do
    if command -v "$python" >/dev/null &&
      "$python" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 13))' 2>/dev/null &&
      "$python" -c 'import ensurepip, venv' 2>/dev/null; then
      printf '%s' "$python"
      return
    fi
  done
  fail "Python 3.11 or 3.12 with venv is needed (none of: ${candidates[*]}); name one with PYTHON=/path/to/python"
}

# set_up EXTRAS: make .venv where there is none and install the project in it; a second call installs nothing.
set_up() {
  local extras=$1 python installed stamp free
  installed=.venv/installed-$(cksum <pyproject.toml | cut -d' ' -f1)
  stamp=$installed-$extras
  if [ ! -e "$stamp" ]; then
    python=$(find_python)
    free=$(df -Pk . | awk 'NR == 2 { print int($4 / 1024) }')
    [ "$free" -ge "${MT_LS_MIN_FREE_MB:-4000}" ] ||
      fail "only $free MB are free here; the environment needs ${MT_LS_MIN_FREE_MB:-4000} MB"
    say "environment in .venv (about two minutes, 1.5 GB)"
    .venv/bin/python -m pip --version >/dev/null 2>&1 || "$python" -m venv --clear .venv
    # A CPU build of torch where the index has one; otherwise what the index gives (TORCH="torch==2.x" overrides).
    if ! .venv/bin/python -c 'import torch' 2>/dev/null; then
      .venv/bin/python -m pip install -q --disable-pip-version-check "${TORCH:-torch==2.13.0}" ||
        fail "torch cannot be installed; check the package index, or choose a build with TORCH=\"torch==VERSION\""
    fi
    .venv/bin/python -m pip install -q --disable-pip-version-check -e ".[$extras]" ||
      fail "the project cannot be installed; pip's reason stands above"
    touch "$stamp" "$installed-fast"
  fi
  export PATH="$PWD/.venv/bin:$PATH"
  # fairseq, hydra and torch warn a page at each start; nothing in it is the user's to mend.
  export PYTHONWARNINGS=ignore
}

# Keep a training log and show the lines that tell how far it is.
progress() {
  local line
  tee -a "$1" | while IFS= read -r line; do
    case $line in
      *"valid on"* | *"done training"* | *num_updates=*) printf '%.240s\n' "${line#*| INFO | }" >&2 ;;
    esac
  done
}

# The folder of one run: runs/<data>_a<alpha>_s<seed>.
run_folder() { printf 'runs/%s_a%s_s%s' "$1" "$(LC_ALL=C printf '%.2f' "$2")" "$3"; }

# train DATA ALPHA SEED ARCH OPTIONS...: one model in its run folder; goes on from its checkpoint.
# The folder remembers its command and its data: what another command left there is never taken for this one's.
train() {
  local data=$1 alpha=$2 seed=$3 arch=$4 folder command identity
  shift 4
  folder=$(run_folder "$data" "$alpha" "$seed")
  command=(fairseq-train "data-bin/$data" --user-dir mt_ls --task translation_with_calibration --arch "$arch"
    --criterion label_smoothed_cross_entropy_with_calibration --label-smoothing "$alpha" --report-accuracy
    --share-all-embeddings --optimizer adam --adam-betas '(0.9, 0.98)' --lr-scheduler inverse_sqrt
    --seed "$seed" --num-workers 0 --save-dir "$folder/checkpoints" --no-progress-bar --log-format simple
    --log-interval 50 "$@")
  if python -c 'import sys, torch; sys.exit(torch.cuda.is_available())'; then command+=(--cpu); fi
  if [ -n "${PRINT:-}" ]; then
    run "${command[@]}"
    return
  fi
  identity="$(PRINT=1 run "${command[@]}") on data $(data_hash "$data")"
  if [ -e "$folder/command" ] && [ "$(cat "$folder/command")" != "$identity" ]; then
    fail "$folder holds a model of another command or other data (see $folder/command): move it away and run again"
  fi
  if [ -e "$folder/trained" ]; then return; fi
  say "training $folder"
  mkdir -p "$folder"
  printf '%s\n' "$identity" >"$folder/command.new"
  mv "$folder/command.new" "$folder/command"
  "${command[@]}" | progress "$folder/train.log"
  touch "$folder/trained"
}

data_hash() {
  python -c 'import json, sys; print(json.load(open(sys.argv[1]))["hash"])' "data-bin/$1/manifest.json"
}

# measure DATA ALPHA SEED OPTIONS...: records of one model on valid and test, beam 5 unless the options say otherwise.
measure() {
  local data=$1 alpha=$2 seed=$3 folder split
  shift 3
  folder=$(run_folder "$data" "$alpha" "$seed")
  for split in valid test; do
    say "measuring $folder on $split"
    run python -m mt_ls.measure "data-bin/$data" --path "$folder/checkpoints/checkpoint_last.pt" \
      --gen-subset "$split" --beam 5 --records "$folder/records.jsonl" "$@"
  done
}

# picture DATA NAME SEED OPTIONS...: one network on images, trained and measured in runs/<data>_<name>_s<seed>.
picture() {
  local data=$1 name=$2 seed=$3
  shift 3
  say "training and measuring runs/${data}_${name}_s$seed"
  run python -m analysis.vision.run "data-bin/$data" --seed "$seed" --run "runs/${data}_${name}_s$seed" "$@"
}

# report DATA OUT: figures, tables and one page from every run on this data.
report() { run python -m analysis.report "runs/${1}_a"*_s* --out "out/$2"; }
