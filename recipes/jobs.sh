# shellcheck shell=bash
# JOBS=6: that many runs of a grid side by side on one device. lib.sh sources it.
#
# Jobs stay in the recipe's process group: a signal to the group (a scheduler's USR1, a kill) reaches them as it reaches
# the one run of a recipe without JOBS. A signal that ends the recipe alone ends them, too.

n_jobs=${JOBS:-1}
[[ $n_jobs =~ ^[1-9][0-9]*$ ]] || fail "JOBS=$n_jobs: give a whole number greater than 0"
# shellcheck disable=SC2154  # gpus and nodes are lib.sh's
((n_jobs == 1 || gpus * nodes == 1)) || fail "JOBS=$n_jobs packs runs on one device: give it without GPUS and NODES"
declare -A folder_of=() length_of_log=() # of each job at work, by its process
reason=                                  # of the first job that failed
stopped=                                 # the folder of a job that a signal has stopped

# job FOLDER COMMAND...: run a command or function that fills a run folder. With JOBS it runs beside the others once one
# of their places is free, with its output in FOLDER/job.log. After a job that failed no other starts.
job() {
  local folder=$1 log=$1/job.log length=0
  shift
  if ((n_jobs == 1)) || [ -n "${PRINT:-}" ]; then
    "$@"
    return
  fi
  while ((${#folder_of[@]} >= n_jobs)); do wait_job; done
  if [ -n "$reason$stopped" ]; then wait_jobs; fi
  mkdir -p "$folder"
  if [ -e "$log" ]; then length=$(stat -c %s "$log"); fi
  trap end_jobs EXIT
  trap 'exit 129' HUP
  trap 'exit 130' INT
  trap 'exit 143' TERM
  # a share of the processor's cores for each; nproc itself reads OMP_NUM_THREADS
  export OMP_NUM_THREADS=${OMP_NUM_THREADS:-$(($(nproc) > n_jobs ? $(nproc) / n_jobs : 1))}
  ("$@") >>"$log" 2>&1 &
  folder_of[$!]=$folder length_of_log[$!]=$length
  printf '== started %s (output: %s)\n' "$folder" "$log" >&2
}

# wait_job: wait until one of the jobs ends, and say how.
wait_job() {
  local process status=0 folder line shown=$SECONDS
  # not `wait -n`: bash forgets a job that ended before it, though not its status
  until process=$(one_that_ended); do
    sleep 0.2
    if ((SECONDS - shown >= 30)); then
      show_progress
      shown=$SECONDS
    fi
  done
  wait "$process" || status=$?
  folder=${folder_of[$process]}
  case $status in
    0) printf '== finished %s\n' "$folder" >&2 ;;
    75)
      printf '== stopped %s: by a signal, saved\n' "$folder" >&2
      stopped=$folder
      ;;
    *)
      line=$(reason_in "$folder/job.log" "${length_of_log[$process]}")
      printf '== failed %s with status %s: %s\n' "$folder" "$status" "$line" >&2
      reason=${reason:-$line}
      ;;
  esac
  unset "folder_of[$process]" "length_of_log[$process]"
}

# show_progress: the last line of each job's output. A bar of progress rewrites its line: the last state counts.
show_progress() {
  local folder line
  for folder in "${folder_of[@]}"; do
    line=$(tail -c 2000 "$folder/job.log" | tr '\r\0' '\n ' | grep -v '^ *$' | tail -n 1) || continue
    printf '%s: %.160s\n' "$folder" "$line" >&2
  done
}

# one_that_ended: the process of a job that has ended. Fails if there is none.
one_that_ended() {
  local process
  for process in "${!folder_of[@]}"; do
    kill -0 "$process" 2>/dev/null || { printf '%s' "$process" && return; }
  done
  return 1
}

# reason_in LOG LENGTH: the first line of error that follows the first LENGTH bytes of a job's log, or the last line.
reason_in() {
  local text line
  text=$(tail -c "+$(($2 + 1))" "$1" | tr -d '\0')
  line=$(grep -m 1 'error: ' <<<"$text") || line=$(tail -n 1 <<<"$text")
  printf '%s (output: %s)' "${line#error: }" "$1"
}

# wait_jobs: wait for all jobs. End the recipe if one of them failed, or was stopped by a signal (status 75).
wait_jobs() {
  while ((${#folder_of[@]})); do wait_job; done
  trap - EXIT HUP INT TERM
  if [ -n "$reason" ]; then fail "$reason"; fi
  if [ -n "$stopped" ]; then
    printf '== stopped by a signal: run the same command to continue\n' >&2
    exit 75
  fi
}

# end_jobs: end the jobs at work with all their processes, where the recipe ends before them.
end_jobs() {
  local process
  for process in "${!folder_of[@]}"; do end_tree "$process"; done
  wait
}

# end_tree PROCESS: end a process and those below it, the upper ones first, since they would start others.
end_tree() {
  local children child
  children=$(cat "/proc/$1/task/"*/children 2>/dev/null) || true # each thread has its own
  kill "$1" 2>/dev/null || true
  for child in $children; do end_tree "$child"; done
}
