#!/usr/bin/env bash
# Renew the exact versions that the set-up installs, recipes/constraints-3.11.txt and -3.12.txt, and look them up in the
# Python advisory database: bash recipes/lock.sh. AUDIT=only looks up the versions that are locked.
# shellcheck source=recipes/lib.sh
source "$(dirname "$0")/lib.sh"
tools=$(mktemp -d)
trap 'rm -rf "$tools"' EXIT
"$(find_python)" -m venv "$tools"
"$tools/bin/python" -m pip install -q --disable-pip-version-check uv pip-audit ||
  fail "uv and pip-audit cannot be installed; pip's reason stands above"
for version in 3.11 3.12; do
  locked=recipes/constraints-$version.txt
  if [ "${AUDIT:-}" != only ]; then
    # torch is the user's choice (TORCH), and brings exact versions of what is built for it.
    { printf '# Exact versions for Python %s on Linux x86_64. Renewed by recipes/lock.sh.\n' "$version" &&
      printf 'torch==2.13.0\n' | "$tools/bin/uv" pip compile -q pyproject.toml --all-extras --constraints - \
        --python-version "$version" --python-platform x86_64-manylinux_2_28 --no-annotate --no-header |
      grep -vE '^(torch|torchvision|triton|nvidia-.*|cuda-.*)==' ; } >"$locked.new"
    mv "$locked.new" "$locked"
  fi
  say "advisories for $locked"
  # --strict: where the database cannot be asked, that is an error and not "no known vulnerabilities"
  "$tools/bin/pip-audit" --strict --requirement "$locked" --no-deps --disable-pip || status=$?
done
exit "${status:-0}"
