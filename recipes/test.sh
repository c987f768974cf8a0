#!/usr/bin/env bash
# The whole test suite on a fresh machine: style, types, import contract, shell, tests. In an environment of your own:
# MT_LS_VENV=FOLDER bash recipes/test.sh, or python -m pytest alone.
# shellcheck source=recipes/lib.sh
source "$(dirname "$0")/lib.sh"
set_up fast,test

ruff check .
ruff format --check .
mypy
lint-imports
shellcheck -x recipes/*.sh recipes/*/run.sh tests/*.sh .ci/run
# Each worker takes whole files, because the tests of a file share what they train.
python -m pytest -n 2 --dist loadfile "$@"
