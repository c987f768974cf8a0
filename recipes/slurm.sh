#!/usr/bin/env bash
# Submit a recipe to SLURM: bash recipes/slurm.sh RECIPE, for example SEEDS="1 2 3" GPUS=4 bash recipes/slurm.sh wmt14.
# The grid of SEEDS and ALPHAS is one job array, a run a job; NODES=2 trains each run over two nodes. TIME=24:00:00 is
# the limit of one job: SLURM warns WARNING=300 seconds before it, the training saves, the job queues and continues.
# SBATCH="--partition=gpu --account=mine" adds options; CPU=1 asks for no GPU; PRINT=1 only shows the script. Variables
# of the recipe, such as SCALE and PRECISION, are passed on. More: docs/cluster.md.
# shellcheck source=recipes/lib.sh
source "$(dirname "$0")/lib.sh"
recipe=${1:-}
(($# <= 1)) || fail "$0 takes one recipe (got '$2', too): choose with variables in front; see bash $0 --help"
[ -f "recipes/$recipe/run.sh" ] || fail "no recipe '$recipe'; there are: $(cd recipes && printf '%s ' */ | tr -d /)"
cells=()
for seed in ${SEEDS:-1}; do
  for alpha in ${ALPHAS:-0.0 0.1}; do cells+=("$seed $alpha"); done
done
read -ra further <<<"${SBATCH:-}"
devices=--gpus-per-node=$gpus
if [ -n "${CPU:-}" ]; then devices=--cpus-per-task=$gpus; fi
options=(--job-name="mt_ls_$recipe" --array="0-$((${#cells[@]} - 1))" --nodes="$nodes" --ntasks-per-node=1 "$devices"
  --time="${TIME:-24:00:00}" --signal="B:USR1@${WARNING:-300}" --requeue --open-mode=append
  --output="runs/slurm/%x_%A_%a.log" "${further[@]}")

script() {
  printf '#!/usr/bin/env bash\n'
  printf '#SBATCH %s\n' "${options[@]}"
  printf 'recipe=%q\ncells=(' "$recipe"
  printf '%q ' "${cells[@]}"
  cat <<'JOB'
)
read -r SEEDS ALPHAS <<<"${cells[SLURM_ARRAY_TASK_ID]}"
export SEEDS ALPHAS
set -m # the recipe becomes a process group, so that the warning reaches all of it
bash "recipes/$recipe/run.sh" &
trap 'kill -USR1 -- "-$!"' USR1
wait "$!"
status=$?
while ((status > 128)) && kill -0 "$!" 2>/dev/null; do # a trapped signal ends a wait
  wait "$!"
  status=$?
done
if ((status == 75)); then scontrol requeue "$SLURM_JOB_ID"; fi # warned, and saved
exit "$status"
JOB
}

if [ -n "${PRINT:-}" ]; then
  script
  exit
fi
set_up recipes # once here: the jobs share the environment
command -v sbatch >/dev/null || fail "no sbatch here: run this on a machine with SLURM, or show the script with PRINT=1"
mkdir -p runs/slurm
script | sbatch || fail "sbatch refused the job: see its message above"
