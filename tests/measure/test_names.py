"""Names of runs: the default of a checkpoint, and those of several paths of a user."""

from pathlib import Path

import pytest

from mt_ls.measure.names import checkpoint_family, distinct_names, run_name, slugs
from mt_ls.measure.protocol import MeasureError


@pytest.mark.parametrize(
    ("name", "family"),
    [
        ("checkpoint_last.pt", "last"),
        ("checkpoint_best.pt", "best"),
        ("checkpoint12.pt", "checkpoint12"),
        ("checkpoint_3_1500.pt", "checkpoint_3_1500"),
        ("averaged.pt", "averaged"),
    ],
)
def test_the_family_of_a_checkpoint_is_in_its_name(name, family):
    assert checkpoint_family(Path("runs/x/checkpoints") / name) == family


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("runs/toy_a0.10_s1/checkpoints/checkpoint_last.pt", "toy_a0.10_s1"),
        ("runs/toy_a0.10_s1/checkpoints/checkpoint_best.pt", "toy_a0.10_s1-best"),
        ("toy/checkpoint_last.pt", "toy"),
        ("toy/checkpoint_best.pt", "toy-best"),
        ("toy/checkpoint12.pt", "toy-checkpoint12"),
        ("toy/averaged.pt", "toy-averaged"),
        ("/averaged.pt", "averaged"),
        ("/checkpoint_last.pt", "last"),
    ],
)
def test_the_default_name_of_a_run_is_its_folders(path, name):
    assert run_name(Path(path)) == name


def test_a_checkpoint_here_has_the_name_of_the_folder(tmp_path, monkeypatch):
    (tmp_path / "mine").mkdir()
    monkeypatch.chdir(tmp_path / "mine")
    assert run_name(Path("checkpoint_best.pt")) == "mine-best"
    assert distinct_names([Path("."), Path("best.pt")]) == ["mine", "best.pt"]


@pytest.mark.parametrize(
    ("paths", "names"),
    [
        (["runs/x/big.pt"], ["big.pt"]),
        (["/x/a/best.pt", "/x/b/best.pt", "/y/b/last.pt"], ["a/best.pt", "b/best.pt", "last.pt"]),
        (["/x/a/best.pt", "/y/a/best.pt"], ["x/a/best.pt", "y/a/best.pt"]),
        (["/x/best.pt", "/x/a/best.pt", "/best.pt"], ["x/best.pt", "a/best.pt", "/best.pt"]),
        (["/x/a\nb", "/x/größe"], ["a?b", "größe"]),
        (["/x/b\udcff"], ["b?"]),
    ],
)
def test_names_are_the_shortest_ends_that_differ(paths, names):
    assert distinct_names([Path(path) for path in paths]) == names


def test_one_path_has_one_name(tmp_path):
    path, link = tmp_path / "a.pt", tmp_path / "link.pt"
    path.touch()
    link.symlink_to(path)
    with pytest.raises(MeasureError, match=rf"^{path} is named twice$"):
        distinct_names([path, path])
    with pytest.raises(MeasureError, match=rf"^{link} is named twice, also as {path}$"):
        distinct_names([path, link])
    with pytest.raises(MeasureError, match="another path has the same name but for characters that cannot be printed"):
        distinct_names([Path("/x/a\n"), Path("/x/a\t")])


@pytest.mark.parametrize(
    ("names", "folders"),
    [
        (["big.pt", "a/best.pt"], ["big.pt", "a_best.pt"]),
        (["-a 'system'", "größe"], ["-a__system_", "gr__e"]),
        (["a/b", "a_b", "A_B"], ["a_b-", "a_b-648fa9b3", "A_B-"]),
        (["..", "figures", "x" * 300], ["-", "figures-", "x" * 80 + "-"]),
    ],
)
def test_every_name_has_a_folder(names, folders):
    made = slugs(names)
    for slug, folder in zip(made, folders, strict=True):
        assert slug.startswith(folder) and slug.isascii() and "/" not in slug and slug not in ("", ".", "..")
    assert len({slug.lower() for slug in made}) == len(names)
