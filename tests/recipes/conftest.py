"""A copy of the code for the recipes of each test file."""

import pytest
from trees import copy_of_the_tree


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    """A copy of the code in a folder with an awkward name."""
    return copy_of_the_tree(tmp_path_factory.mktemp("copies") / '-a "copy" of\nit\'s $tree')
