"""Arrays appended a part at a time are numpy's own .npz of the whole."""

import numpy as np
import pytest

from mt_ls.records.spool import spools


def test_parts_become_one_npz(tmp_path):
    rng = np.random.default_rng(0)
    whole = {"bins": rng.random((23, 3, 15)).astype("f4"), "hit": rng.random(23) < 0.5, "id": np.arange(23, dtype="i4")}
    with spools(2, tmp_path / "work") as (first, second):
        for rows in (slice(0, 10), slice(10, 10), slice(10, 23)):
            first.append(**{name: array[rows] for name, array in whole.items()})
        second.append(text=np.frombuffer("Tür\n".encode(), "u1"))
        first.save(tmp_path / "x.npz")
        second.save(tmp_path / "y.npz")
    with np.load(tmp_path / "x.npz") as found:
        assert set(found) == set(whole)
        for name, array in whole.items():
            np.testing.assert_array_equal(found[name], array)
            assert found[name].dtype == array.dtype
    with np.load(tmp_path / "y.npz") as found:
        assert found["text"].tobytes().decode() == "Tür\n"


def test_a_failure_leaves_no_file(tmp_path):
    with pytest.raises(RuntimeError), spools(1, tmp_path) as (spool,):
        spool.append(x=np.ones(3))
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []
