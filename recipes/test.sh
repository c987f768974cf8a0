#!/usr/bin/env bash
# The whole test suite on a fresh machine: style, types, import contract, shell, tests.
# shellcheck source=recipes/lib.sh
source "$(dirname "$0")/lib.sh"
set_up fast,test

ruff check .
ruff format --check .
mypy
lint-imports
shellcheck -x recipes/*.sh recipes/*/run.sh tests/*.sh .ci/run
# Two workers, each with whole files: modules share what they train.
python -m pytest -n 2 --dist loadfile "$@"
