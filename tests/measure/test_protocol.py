"""A model needs the methods of the protocol and nothing else: no base class, no fairseq."""

import os
import sys

from commands import ROOT, run

from mt_ls.records import read

CODE = """
import sys
from pathlib import Path
from fake_model import FakeModel
from mt_ls.measure.plan import Plan, measure

measure(FakeModel(), Plan(temperatures=(0.5,)), Path(sys.argv[1]))
measure(FakeModel(), Plan(pieces=("der", "die", "das")), Path(sys.argv[1]))
loaded = [name for name in sys.modules if name.partition(".")[0] == "fairseq" or name.startswith("mt_ls.plugin")]
assert not loaded, loaded
"""


def test_a_model_in_memory_is_measured_in_every_mode_without_fairseq(tmp_path):
    path = tmp_path / "records.jsonl"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests")])}
    process = run([sys.executable, "-c", CODE, str(path)], env=environment)
    assert process.returncode == 0, process.stderr
    assert {record.mode for record in read(path)} == {"forced", "beam", "activations"}
    assert {record.model.corpus for record in read(path)} == {"fake"}
