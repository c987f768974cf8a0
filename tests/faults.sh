#!/usr/bin/env bash
# Kill, break and feed malformed inputs to the real commands, and count the losses: bash tests/faults.sh (many minutes),
# or bash tests/faults.sh --quick.
# shellcheck source=recipes/lib.sh
source "$(dirname "$0")/../recipes/lib.sh"
set_up fast,test
OMP_NUM_THREADS=${OMP_NUM_THREADS:-1} python tests/faults "$@"
