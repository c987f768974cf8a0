"""The short form of the campaign of faults: bash tests/faults.sh --quick."""

import re

import pytest
from commands import run
from trees import environment_of


@pytest.mark.slow
def test_nothing_is_lost(finished):
    tree, _ = finished
    process = run(["bash", "tests/faults.sh", "--quick", "--reference", str(tree)], env=environment_of())
    assert process.returncode == 0, process.stdout + process.stderr
    for stage in ("training", "measuring beam"):
        assert re.search(rf"^survived: kill -9 while {stage} +1$", process.stdout, re.M)
    assert re.search(r"^kills survived +2 ", process.stdout, re.M)
    assert re.search(r"^malformed inputs refused in one line +100 ", process.stdout, re.M)
    assert re.search(r"^lost +0 ", process.stdout, re.M)
