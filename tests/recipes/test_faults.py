"""The short form of the campaign: bash tests/faults.sh --quick."""

import re
import subprocess

import pytest
from trees import ROOT


@pytest.mark.slow
def test_nothing_is_lost():
    if not any((ROOT / ".venv").glob("installed-*")):
        pytest.skip("the campaign needs the environment that recipes/test.sh makes")
    found = subprocess.run(["bash", "tests/faults.sh", "--quick"], cwd=ROOT, capture_output=True, text=True)
    assert found.returncode == 0, found.stdout + found.stderr
    assert re.search(r"^kills survived .* 2   ", found.stdout, re.M)
    assert re.search(r"^malformed inputs refused in one line +100 ", found.stdout, re.M)
    assert re.search(r"^lost +0 ", found.stdout, re.M)
