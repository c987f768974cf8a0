# shellcheck shell=bash
# The functions of every recipe: the environment, and stages that run once. Source it; do not run it.
set -euo pipefail
# shellcheck source=recipes/help.sh
source "$(dirname "${BASH_SOURCE[0]}")/help.sh"
case ${1:-} in
  -h | --help)
    show_help "$0"
    exit
    ;;
esac
# The caller's folder counts for the name of an environment, the repository's root for everything else.
case ${MT_LS_VENV:-/} in
  /*) ;;
  *) MT_LS_VENV=$PWD/$MT_LS_VENV ;;
esac
unset CDPATH # cd would look there first, and print where it went
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# A message is one line, whatever the names in it hold.
fail() {
  local message=$*
  printf 'error: %s\n' "${message//$'\n'/\\n}" >&2
  exit 1
}

# no_arguments EXAMPLE ARGUMENTS...: fail if there is an argument. EXAMPLE is a variable that chooses.
no_arguments() {
  (($# == 1)) || fail "$0 takes no arguments ('$2'): choose with variables in front, as $1 bash $0; see --help"
}

# say MESSAGE...: the heading of a stage. PRINT=1 runs no stage.
say() {
  local message=$*
  if [ -z "${PRINT:-}" ]; then printf '\n== %s\n' "${message//$'\n'/\\n}" >&2; fi
}

# Run a command; with PRINT=1 only show it.
run() {
  if [ -n "${PRINT:-}" ]; then show "$@"; else "$@"; fi
}

# show WORDS...: print a command in a line that a shell reads back.
show() {
  local word line=
  for word in "$@"; do
    if ! [[ $word =~ ^[A-Za-z0-9_@%+=:,./-]+$ ]]; then word=${word@Q}; fi
    line+=" $word"
  done
  printf '%s\n' "${line# }"
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

# set_up EXTRAS: put the commands of an environment first in PATH.
# The environment is .venv, made and filled on the first call (PYTHON=, TORCH= and MT_LS_MIN_FREE_MB= say how). With
# MT_LS_VENV=FOLDER it is that folder, a virtual environment which has the project's requirements: nothing is installed.
# With PRINT=1 it shows the lines that do this in any shell, and looks at nothing.
set_up() {
  local environment=${MT_LS_VENV:-$PWD/.venv}
  if [ -n "${PRINT:-}" ]; then
    # shellcheck disable=SC2016  # the shell that reads the line expands it
    printf 'cd %s && export PATH=%s:"$PATH" PYTHONWARNINGS=ignore\n' "$(show "$PWD")" "$(show "$environment/bin")"
    if [ -z "${MT_LS_VENV:-}" ]; then show bash -c "source recipes/lib.sh && set_up $1"; fi
    return
  fi
  if [ -n "${MT_LS_VENV:-}" ]; then
    "$environment/bin/python" -c 'import importlib.util, sys; sys.exit(not importlib.util.find_spec("fairseq"))' \
      2>/dev/null ||
      fail "MT_LS_VENV=$environment is no environment with fairseq: run pip install -e '.[$1]' in it, or unset it"
  else
    install_in_venv "$1"
  fi
  export PATH="$environment/bin:$PATH"
  # fairseq, hydra and torch print a page of warnings at each start, and a user can mend none of them.
  export PYTHONWARNINGS=ignore
  unset PYTHONDONTWRITEBYTECODE # every start would compile again what it imports
}

# install_in_venv EXTRAS: make .venv where there is none, and install the project in it; a second call installs nothing.
install_in_venv() {
  local extras=$1 python installed stamp free version
  installed=.venv/installed-$(cat pyproject.toml recipes/constraints-*.txt | cksum | cut -d' ' -f1)
  stamp=$installed-$extras
  if [ -e "$stamp" ]; then return; fi
  python=$(find_python)
  free=$(df -Pk . | awk 'NR == 2 { print int($4 / 1024) }')
  [ "$free" -ge "${MT_LS_MIN_FREE_MB:-4000}" ] ||
    fail "only $free MB are free here; the environment needs ${MT_LS_MIN_FREE_MB:-4000} MB"
  say "environment in .venv (about two minutes, 1.5 GB; 2.2 GB with the tests)"
  .venv/bin/python -m pip --version >/dev/null 2>&1 || "$python" -m venv --clear .venv
  # A CPU build of torch where the index has one; otherwise what the index gives (TORCH="torch==2.x" overrides).
  # --no-compile: Python compiles what it imports, a small part of what is installed, and keeps it (see set_up).
  if ! .venv/bin/python -c 'import torch' 2>/dev/null; then
    .venv/bin/python -m pip install -q --disable-pip-version-check --no-compile "${TORCH:-torch==2.13.0}" ||
      fail "torch cannot be installed; check the package index, or choose a build with TORCH=\"torch==VERSION\""
  fi
  version=$(.venv/bin/python -c 'import sys; print("%d.%d" % sys.version_info[:2])')
  .venv/bin/python -m pip install -q --disable-pip-version-check --no-compile -c "recipes/constraints-$version.txt" \
    -e ".[$extras]" ||
    fail "the project cannot be installed: see pip's message above"
  touch "$stamp" "$installed-recipes"
}

# progress FILE: append standard input to a training log, and show the lines that report progress.
progress() {
  local line
  tee -a "$1" | while IFS= read -r line; do
    case $line in
      *"valid on"* | *"done training"* | *num_updates=*) printf '%.240s\n' "${line#*| INFO | }" >&2 ;;
    esac
  done
}

# image_folder DATA NAME SEED: the folder of one run, runs/<data>_<name>_s<seed>. Of PRECISION=bf16 it is
# runs/<data>_<name>_bf16_s<seed>, since a folder's name says what made it.
image_folder() {
  local precision=${PRECISION:-float32}
  if [ "$precision" = float32 ]; then precision=; fi
  printf 'runs/%s_%s%s_s%s' "$1" "$2" "${precision:+_$precision}" "$3"
}

# run_folder DATA ALPHA SEED: the folder of one translation model, runs/<data>_a<alpha>_s<seed>. A recipe with models of
# several kinds on the same data sets `variant`: runs/<data>_<variant>_a<alpha>_s<seed>.
variant=
run_folder() { image_folder "$1${variant:+_$variant}" "a$(LC_ALL=C printf '%.2f' "$2")" "$3"; }

# Workers of a training: GPUS=8 on this machine, GPUS times NODES under SLURM. Without a GPU they are gloo processes.
gpus=${GPUS:-1} nodes=${NODES:-1}
[[ $gpus =~ ^[1-9][0-9]*$ && $nodes =~ ^[1-9][0-9]*$ ]] || fail "GPUS=$gpus NODES=$nodes: give whole numbers"
for seed in ${SEEDS:-}; do [[ $seed =~ ^[0-9]+$ ]] || fail "SEEDS=$SEEDS: give whole numbers"; done
for alpha in ${ALPHAS:-}; do
  [[ $alpha =~ ^(0|0?\.[0-9]+)$ ]] || fail "ALPHAS=$ALPHAS: give amounts of smoothing from 0 to less than 1"
done
average=${AVERAGE:-}
[[ -z $average || ($average =~ ^[1-9][0-9]*$ && $average != 1) ]] ||
  fail "AVERAGE=$average: give the number of checkpoints, a whole number greater than 1"
case /$0 in
  */run.sh) no_arguments SCALE=smoke "$@" ;;
esac
# shellcheck source=recipes/jobs.sh
source recipes/jobs.sh
# A scheduler warns with USR1. mt_ls.train handles it; the shell and every other command must survive it.
trap '' USR1

# set_launch: the command that starts the workers of a training, as the array `launch`.
set_launch() {
  local head
  launch=(python)
  if ((nodes > 1)); then
    [ -n "${SLURM_JOB_NODELIST:-}${PRINT:-}" ] || fail "NODES=$nodes needs a SLURM job: bash recipes/slurm.sh RECIPE"
    head=$({ scontrol show hostnames "${SLURM_JOB_NODELIST:-}" | head -n 1; } 2>/dev/null) || true
    launch=(srun --nodes "$nodes" --ntasks "$nodes" --ntasks-per-node 1 torchrun --nnodes "$nodes"
      --nproc-per-node "$gpus" --rdzv-backend c10d --rdzv-id "${SLURM_JOB_ID:-JOB}"
      --rdzv-endpoint "${head:-FIRST-NODE}:$((20000 + ${SLURM_JOB_ID:-0} % 20000))") # a port for each job
  elif ((gpus > 1)); then
    launch=(torchrun --standalone --nproc-per-node "$gpus")
  fi
}

# set_batch TOKENS: fairseq's options for updates of TOKENS target tokens over all workers, as the array `batch`.
set_batch() {
  local each=$(($1 / (gpus * nodes))) accumulate=1
  while ((each / accumulate > 4096)); do accumulate=$((accumulate * 2)); done
  # shellcheck disable=SC2034  # the recipes use it
  batch=(--max-tokens "$((each / accumulate))" --update-freq "$accumulate")
}

# set_precision: fairseq's option for PRECISION=bf16 or fp16, as the array `half`. Fails where no GPU supports it.
set_precision() {
  half=()
  case ${PRECISION:-float32} in
    float32) return ;;
    bf16) has_gpu_with 'torch.cuda.is_bf16_supported()' ;;
    fp16) has_gpu_with True ;;
    *) fail "PRECISION=$PRECISION: choose float32, bf16 or fp16" ;;
  esac
  half=("--$PRECISION")
}

has_gpu_with() {
  [ -n "${PRINT:-}" ] || python -c "import sys, torch; sys.exit(not (torch.cuda.is_available() and $1))" ||
    fail "PRECISION=$PRECISION needs a GPU that supports it"
}

# set_device: --cpu where torch sees no GPU, as the array `device`. It asks once a recipe, since torch loads slowly.
# A command that is shown may run elsewhere: it leaves the choice to fairseq, which takes a GPU where there is one.
set_device() {
  device=()
  if [ -n "${PRINT:-}" ]; then return; fi
  if [ -z "${has_gpu:-}" ]; then has_gpu=$(python -c 'import torch; print(int(torch.cuda.is_available()))'); fi
  if ((!has_gpu)); then device=(--cpu); fi
}

# only_here FOLDER: fail if another recipe is at work in the folder. The lock ends with the last process that holds it.
only_here() {
  mkdir -p "$1"
  exec 9>"$1/lock"
  flock --nonblock 9 || fail "another run is at work in $1: wait for it, or stop it"
}

adam_betas='(0.9, 0.98)'      # default of all trainings; a recipe may set others
lr_scheduler=inverse_sqrt     # the same
checkpoint=checkpoint_last.pt # the file that measure and activations read; a recipe may choose another

# without_keeping COMMAND: a command without the options that say which checkpoints stay. They change no number.
without_keeping() { sed -E 's/ --(keep-last-epochs|save-interval-updates|keep-interval-updates) [0-9]+//g' <<<"$1"; }

# train DATA ALPHA SEED ARCH OPTIONS...: train one model in its run folder, from its last checkpoint if it has one.
# FOLDER/command names the command and the hash of the data: a folder of another command or other data is refused.
train() {
  local data=$1 alpha=$2 seed=$3 arch=$4 folder options launch half device identity status=0
  set_launch
  set_precision
  set_device
  shift 4
  folder=$(run_folder "$data" "$alpha" "$seed")
  options=("data-bin/$data" --user-dir mt_ls --task translation_with_calibration --arch "$arch"
    --criterion label_smoothed_cross_entropy_with_calibration --label-smoothing "$alpha" --report-accuracy
    --share-all-embeddings --optimizer adam --adam-betas "$adam_betas" --lr-scheduler "$lr_scheduler"
    --seed "$seed" --num-workers 0 --save-dir "$folder/checkpoints" --no-progress-bar --log-format simple
    --log-interval 50 "${half[@]}" "$@" "${device[@]}")
  if [ -n "${PRINT:-}" ]; then
    run "${launch[@]}" -m mt_ls.train "${options[@]}"
    return
  fi
  only_here "$folder"
  # %q: two commands are equal only if each of their words is, whatever spaces the words hold.
  identity="$(printf '%q ' mt_ls.train "${options[@]}") on data $(data_hash "$data")"
  if [ -e "$folder/command" ] &&
    [ "$(without_keeping "$(cat "$folder/command")")" != "$(without_keeping "$identity")" ]; then
    fail "$folder holds a model of another command or other data (see $folder/command): move it away and run again"
  fi
  if [ -e "$folder/trained" ]; then return; fi
  say "training $folder"
  printf '%s\n' "$identity" >"$folder/command.new"
  mv "$folder/command.new" "$folder/command"
  # torchrun reports a failed worker in forty lines: they go to a file, and not_trained shows the worker's own line.
  "${launch[@]}" -m mt_ls.train "${options[@]}" 2>"$folder/train.err" | progress "$folder/train.log" || status=$?
  ((status == 0)) || not_trained "$folder" "$status"
  touch "$folder/trained"
}

# not_trained FOLDER STATUS: end the recipe after a training that did not finish, with one line that says why.
not_trained() {
  local folder=$1 status=$2
  # torchrun ends with 1 whatever its workers end with
  if ((status == 75)) || grep -q 'exitcode *: 75 ' "$folder/train.err"; then
    say "stopped by a signal, saved in $folder: run the same command to continue"
    exit 75
  fi
  grep '^mt_ls\.train: ' "$folder/train.err" >&2 || grep -m 1 'exitcode' "$folder/train.err" >&2 || true
  fail "training $folder ended with status $status; $folder/train.err has the rest"
}

# data_hash DATA: the hash in the manifest of a data folder.
data_hash() {
  python -c 'import json, sys; print(json.load(open(sys.argv[1]))["hash"])' "data-bin/$1/manifest.json" 2>/dev/null ||
    fail "data-bin/$1/manifest.json is not a manifest: remove data-bin/$1 and run again"
}

# average_checkpoints DATA ALPHA SEED PERIOD: average the last AVERAGE checkpoints of one model, of an epoch or of an
# update (PERIOD), in the file average<AVERAGE>.pt beside them.
average_checkpoints() {
  local folder file
  folder=$(run_folder "$1" "$2" "$3")
  file=$folder/checkpoints/average$average.pt
  if [ -z "${PRINT:-}" ] && [ -e "$file" ]; then return; fi
  say "averaging $average checkpoints of $folder"
  run python -m mt_ls.average "$folder/checkpoints" "--num-$4-checkpoints" "$average" --output "$file"
}

splits=valid,test # that measure measures; a recipe may choose others

# measure DATA ALPHA SEED OPTIONS...: records of one model on `splits`.
measure() {
  local data=$1 alpha=$2 seed=$3 folder launch=(python)
  shift 3
  folder=$(run_folder "$data" "$alpha" "$seed")
  if ((gpus > 1)); then launch=(torchrun --standalone --nproc-per-node "$gpus"); fi
  say "measuring $folder on ${splits//,/, }"
  run "${launch[@]}" -m mt_ls.measure "data-bin/$data" --path "$folder/checkpoints/$checkpoint" \
    --gen-subset "$splits" --records "$folder/records.jsonl" "$@"
}

# activations DATA ALPHA SEED PIECE PIECE PIECE: the activations of one model that predict three target pieces, on train
# and valid.
activations() {
  local data=$1 folder
  folder=$(run_folder "$data" "$2" "$3")
  shift 3
  say "activations of $folder on train and valid"
  run python -m mt_ls.measure "data-bin/$data" --path "$folder/checkpoints/$checkpoint" \
    --gen-subset train,valid --pieces "$@" --records "$folder/records.jsonl"
}

# image_network DATA NAME SEED OPTIONS...: train and measure one network on images in its run folder, as a job.
image_network() {
  local folder
  folder=$(image_folder "$1" "$2" "$3")
  job "$folder" train_and_measure_images "$folder" "data-bin/$1" --seed "$3" "${@:4}"
}

train_and_measure_images() {
  local folder=$1
  shift
  case ${PRECISION:-float32} in
    float32) ;;
    bf16) set -- "$@" --bf16 ;;
    *) fail "PRECISION=$PRECISION: images are trained in float32 or bf16" ;;
  esac
  say "training and measuring $folder"
  run python -m mt_ls.vision "$@" --run "$folder"
}

# translation_models DATA FUNCTION: FUNCTION DATA ALPHA SEED for each of SEEDS and ALPHAS, which trains and measures one
# model, each as a job.
translation_models() {
  local folder seed alpha
  for seed in ${SEEDS:-1}; do
    for alpha in ${ALPHAS:-0.0 0.1}; do
      folder=$(run_folder "$1" "$alpha" "$seed")
      job "$folder" "$2" "$1" "$alpha" "$seed"
    done
  done
  wait_jobs
}

# report NAME PATTERN...: figures, tables and one page in out/NAME, from the run folders that match.
report() {
  local patterns="${*:2}"
  say "reporting"
  if [ -n "${PRINT:-}" ]; then
    printf 'python -m analysis.report %s --out %s\n' "$patterns" "$(show "out/$1")"
  else
    # shellcheck disable=SC2086  # the shell expands the patterns
    python -m analysis.report $patterns --out "out/$1"
  fi
}
