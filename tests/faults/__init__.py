"""Faults on purpose: `bash tests/faults.sh`."""
