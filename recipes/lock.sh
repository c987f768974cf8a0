#!/usr/bin/env bash
# Write the exact versions that set_up installs, recipes/constraints-3.11.txt and -3.12.txt, and look them up in the
# Python advisory database: bash recipes/lock.sh. AUDIT=only looks up the present versions and writes nothing.
# shellcheck source=recipes/lib.sh
source "$(dirname "$0")/lib.sh"
no_arguments AUDIT=only "$@"
tools=$(mktemp -d)
trap 'rm -rf "$tools"' EXIT
"$(find_python)" -m venv "$tools"
"$tools/bin/python" -m pip install -q --disable-pip-version-check uv pip-audit ||
  fail "uv and pip-audit cannot be installed: see pip's message above"
for version in 3.11 3.12; do
  locked=recipes/constraints-$version.txt
  if [ "${AUDIT:-}" != only ]; then
    # The user chooses the build of torch (TORCH), and torch requires exact versions of the packages built for it.
    { printf '# Exact versions for Python %s on Linux x86_64. Written by recipes/lock.sh.\n' "$version" &&
      printf 'torch==2.13.0\n' | "$tools/bin/uv" pip compile -q pyproject.toml --all-extras --constraints - \
        --python-version "$version" --python-platform x86_64-manylinux_2_28 --no-annotate --no-header |
      grep -vE '^(torch|torchvision|triton|nvidia-.*|cuda-.*)==' ; } >"$locked.new"
    mv "$locked.new" "$locked"
  fi
  say "advisories for $locked"
  # --strict: without an answer of the database it fails, and does not print "no known vulnerabilities"
  "$tools/bin/pip-audit" --strict --requirement "$locked" --no-deps --disable-pip || status=$?
done
exit "${status:-0}"
