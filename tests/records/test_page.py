"""docs/records.md: it names every field and column, and its examples print what it says."""

import contextlib
import io
import re

import pytest
import torch
from commands import ROOT
from documented import PAGE, names

from analysis.tables.geometry import FIELDS
from mt_ls.records import Model, Record, items
from mt_ls.vision.mutual_information import N_MORE_SAMPLES, estimates

EXAMPLE = re.compile(r"```python\n(?P<code>.*?)```\n\n```\n(?P<printed>.*?)```\n", re.DOTALL)
EXAMPLES = [match.groupdict() for match in EXAMPLE.finditer(PAGE.read_text())]


def test_every_field_and_column_has_a_line_and_no_other():
    written, of_geometry = {"schema", "signature"}, {*FIELDS, "planes", "triangles"}
    of_information = {*estimates(torch.randn(2, N_MORE_SAMPLES + 1)), "classes", "samples"}
    assert names("Fields of a record") == {*Record.__struct_fields__, *written, *of_geometry, *of_information}
    assert names("Fields of a model") == set(Model.__struct_fields__)
    assert names("Columns of the items") == set(items._TYPES)


@pytest.mark.parametrize("example", EXAMPLES)
def test_an_example_prints_what_follows_it(example, tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path)
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(example["code"], {})
    assert printed.getvalue() == example["printed"]


def test_every_block_of_python_is_an_example():
    assert len(EXAMPLES) == PAGE.read_text().count("```python") >= 4
