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
python -m pytest "$@"
