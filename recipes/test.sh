#!/usr/bin/env bash
# The whole test suite on a fresh machine: style, types, import contract, shell, tests.
# bash recipes/test.sh [PYTEST-OPTIONS] makes and uses .venv. MT_LS_VENV=FOLDER is an environment to use as it is; in
# one of your own, python -m pytest alone runs the tests.
# bash recipes/test.sh -m gpu [PYTEST-OPTIONS] runs the tests that need a GPU alone; they are skipped where there is
# none. PRINT=1 shows the commands, and runs and installs nothing.
# shellcheck source=recipes/lib.sh
source "$(dirname "$0")/lib.sh"
set_up recipes,test

# needs COMMANDS...: fail if the environment, which may be the user's own, lacks one of them.
needs() {
  local name missing=()
  for name in "$@"; do
    command -v "$name" >/dev/null || missing+=("$name")
  done
  ((${#missing[@]} == 0)) || fail "the environment lacks ${missing[*]}: run pip install -e '.[recipes,test]' in it"
}

if [ "${1:-} ${2:-}" = "-m gpu" ]; then
  [ -n "${PRINT:-}" ] || python -c 'import pytest, xdist' 2>/dev/null ||
    fail "the environment lacks pytest or pytest-xdist: run pip install -e '.[recipes,test]' in it"
  # Only the files that hold such tests: others may import what a GPU machine lacks.
  mapfile -t files < <(grep -rl --include='test_*.py' 'mark\.gpu' tests)
  ((${#files[@]})) || fail "no test is marked gpu"
  run python -m pytest "${@:1:2}" -n 4 "${files[@]}" "${@:3}"
  exit
fi
[ -n "${PRINT:-}" ] || needs ruff mypy lint-imports shellcheck pytest
run ruff check .
run ruff format --check .
run lint-imports
run shellcheck -x recipes/*.sh recipes/*/run.sh tests/*.sh .ci/run
# mypy takes a minute of one core, and many tests wait for a process: they run side by side.
if [ -n "${PRINT:-}" ]; then run mypy; else mypy & types=$!; fi
# Each worker takes whole files, because the tests of a file share what they train.
status=0
run python -m pytest -n 2 --dist loadfile "$@" || status=$?
[ -z "${types:-}" ] || wait "$types" || status=$?
exit "$status"
