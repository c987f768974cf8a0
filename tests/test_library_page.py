"""The examples of docs/library.md."""

import doctest

from commands import ROOT


def test_the_examples_of_the_page_give_what_it_shows():
    result = doctest.testfile(str(ROOT / "docs" / "library.md"), module_relative=False)
    assert result.attempted > 30 and not result.failed
