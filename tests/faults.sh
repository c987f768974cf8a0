#!/usr/bin/env bash
# Kill, break and feed malformed inputs to the real commands, and count the losses: bash tests/faults.sh (many minutes),
# or bash tests/faults.sh --quick (about a minute). Further options: --seed N, of the random moments, and --reference
# TREE, a tree in which the synthetic recipe has run at SCALE=smoke, for the quick form.
# shellcheck source=recipes/lib.sh
source "$(dirname "$0")/../recipes/lib.sh"
set_up recipes,test
run env OMP_NUM_THREADS="${OMP_NUM_THREADS:-1}" python tests/faults "$@"
