"""Data folders without a new process for each fairseq-preprocess, whose start takes longer than its work."""

import contextlib
import subprocess
import sys
from types import SimpleNamespace

import pytest
from fairseq_cli import preprocess

from data_prep import binarise


@contextlib.contextmanager
def _binarised_here():
    def run(command, **_):
        program, dash, module, *arguments = command
        assert (program, dash, module) == (sys.executable, "-m", preprocess.__name__)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sys, "argv", [module, *arguments])
            preprocess.cli_main()
        return subprocess.CompletedProcess(command, 0, "", "")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(binarise, "subprocess", SimpleNamespace(run=run))
        yield


@pytest.fixture
def binarised_here():
    """fairseq-preprocess runs in this process during a test."""
    with _binarised_here():
        yield


@pytest.fixture(scope="module")
def all_binarised_here():
    """The same from here to the end of a module."""
    with _binarised_here():
        yield
