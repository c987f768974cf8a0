# shellcheck shell=bash
# --help of every recipe. lib.sh sources it.

# show_help SCRIPT: the comment at the head of a recipe and, of an experiment, the variables that all of them have.
show_help() {
  local line
  while IFS= read -r line; do
    case $line in
      '#!'* | '# shellcheck '*) ;;
      '#'*)
        line=${line#'#'}
        printf '%s\n' "${line# }"
        ;;
      *) break ;;
    esac
  done <"$1"
  case /$1 in
    */run.sh) show_variables "$1" ;;
  esac
}

show_variables() {
  printf '\nVariables in front of the command choose: SCALE=smoke SEEDS="1 2 3" bash %s\n' "$1"
  printf '%s\n' \
    '  SCALE=smoke       the size of the experiment, see above' \
    '  SEEDS="1 2 3"     training seeds (default: 1)' \
    '  ALPHAS="0.0 0.1"  amounts of label smoothing (default: these two, unless it says otherwise above)' \
    '  PRECISION=bf16    of each training: float32 (default), bf16 or fp16; half precision of translation needs a GPU' \
    '  JOBS=6            runs side by side on one device (default: 1)' \
    '  GPUS=8            workers of each training and measurement (default: 1)' \
    '  NODES=2           machines of each training, in a job of SLURM: see bash recipes/slurm.sh --help (default: 1)' \
    '  PRINT=1           show the commands, and run and install nothing' \
    '  MT_LS_VENV=DIR    use this virtual environment as it is (default: .venv, which the first call makes and fills)' \
    'The same command again continues after a stop, and makes nothing twice. More: docs/usage.md, docs/cluster.md.'
}
