"""The names that fairseq knows after the import, and an import that costs no fairseq."""

import subprocess
import sys

import pytest
from fairseq.criterions import CRITERION_REGISTRY
from fairseq.models import ARCH_MODEL_REGISTRY
from fairseq.tasks import TASK_REGISTRY


@pytest.mark.parametrize(
    ("first", "registered"), [("fairseq", "True"), ("sys", "False")], ids=["with fairseq", "without fairseq"]
)
def test_the_plugin_is_imported_where_fairseq_is(first, registered):
    program = f"import sys, {first}, mt_ls; print('mt_ls.plugin' in sys.modules, 'fairseq' in sys.modules)"
    output = subprocess.check_output([sys.executable, "-c", program], text=True)
    assert output.splitlines()[-1] == f"{registered} {registered}"


def test_the_names_of_the_plugin_are_registered():
    import mt_ls.plugin  # noqa: F401

    assert "label_smoothed_cross_entropy_with_calibration" in CRITERION_REGISTRY
    assert "translation_with_calibration" in TASK_REGISTRY
    assert {f"transformer_mt_ls_{size}" for size in ("micro", "small", "tiny")} <= set(ARCH_MODEL_REGISTRY)
