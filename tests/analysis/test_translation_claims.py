"""Verdicts on made-up grids whose truth is known, through the command."""

import sys

import numpy as np
import pytest
from builders import measurement
from conftest import run

from analysis import publish, significance
from analysis import rows as table
from analysis.claims import __main__ as claims
from analysis.claims import translation as translation_claims
from mt_ls.calibration.bins import Bins
from mt_ls.records.record import RecordError, append

N_SENTENCES, LENGTH = 400, 30
GRID = (0.8, 1.0, 1.2)


def write_grid(folder, seeds=(1, 2, 3), smoothing_helps=True):
    """Runs of alpha 0 and 0.1. If smoothing helps: the hard model is over-confident at T = 1 and calibrated at 1.2, the
    smoothed one calibrated at 1 and better by two BLEU, and worse in NLL; if not, the two change places."""
    rng = np.random.default_rng(0)
    folder.mkdir()
    for seed in seeds:
        for alpha in (0.0, 0.1):
            smoothed = (alpha == 0.1) == smoothing_helps
            for split in ("valid", "test"):
                for t in GRID:
                    _write(folder, rng, alpha, seed, split, t, smoothed)
                _write(folder, rng, alpha, seed, split, 1.0, smoothed, beam=50)


def _write(folder, rng, alpha, seed, split, t, smoothed, beam=5):
    best = 1.0 if smoothed else 1.2
    share = 0.6 + 0.02 * rng.normal(size=N_SENTENCES)
    count = np.full(N_SENTENCES, float(LENGTH))
    bins = np.zeros((N_SENTENCES, 3, 15))
    bins[:, :, 10] = np.stack((count, count * 0.7, rng.binomial(LENGTH, 0.7 - 0.4 * abs(t - best), N_SENTENCES)), 1)
    right = rng.binomial(LENGTH, share + 0.03 * smoothed - 0.3 * abs(t - best))
    order = np.arange(4)
    matches = np.maximum(right[:, None] - 3 * order, 0)
    length = LENGTH - 2 * (beam == 50) * smoothed
    bleu = np.column_stack(
        (np.full((N_SENTENCES, 2), (length, LENGTH)), matches, np.broadcast_to(length - order, (N_SENTENCES, 4)))
    )
    nll = count * (2 + 0.3 * smoothed + (t - best) ** 2) + 0.1 * rng.normal(size=N_SENTENCES)
    common = {
        "run": f"grid_a{alpha}_s{seed}",
        "corpus": "grid",
        "alpha": alpha,
        "seed": seed,
        "split": split,
        "temperature": t,
        "bins": Bins.from_sums(bins.sum(0)),
        "fitted_temperature": best,
        "sha": {"data": "d" * 64, "checkpoint": f"{alpha}{seed}" * 20, "code": "e" * 40},
    }
    if beam == 5:
        name = f"forced_{split}_{alpha}_{seed}_{t}.npz"
        np.savez(folder / name, sentence_bins=bins, sentence_nll=nll)
        append(folder / "records.jsonl", measurement(**common, arrays=name, nll=nll.sum() / count.sum()))
    worse = bins.copy()
    worse[:, 2] *= 0.5
    name = f"beam{beam}_{split}_{alpha}_{seed}_{t}.npz"
    np.savez(folder / name, sentence_bins=worse, sentence_bleu=bleu)
    score = significance.bleu(bleu, np.ones((1, N_SENTENCES))).item()
    beam_fields = {"mode": "beam", "beam": beam, "bleu": {"score": score}}
    append(folder / "records.jsonl", measurement(**common, **beam_fields, arrays=name))


def verdicts(folder):
    """{claim's number: verdict}."""
    return {f.claim.number: f.verdict for f in claims.findings(table.load([folder]), draws=300)}


def test_a_world_in_which_the_paper_is_right(tmp_path):
    write_grid(tmp_path / "runs")
    found = verdicts(tmp_path / "runs")
    assert {number for number, verdict in found.items() if verdict == "reproduced"} >= {1, 2, 3, 4, 5, 7, 9, 10}
    assert "not reproduced" not in found.values()


def test_what_is_published_gives_the_same_findings(tmp_path):
    write_grid(tmp_path / "runs")
    rows = table.load([tmp_path / "runs"])
    publish.publish(rows, tmp_path / "out")
    published = claims.findings(table.load([tmp_path / "out"]), draws=50)
    assert claims.cells(published) == claims.cells(claims.findings(rows, draws=50))
    assert all(finding.estimate for finding in published)
    assert not (tmp_path / "out" / "forced_valid_0.1_1_0.8.npz").exists()


def test_a_world_in_which_the_paper_is_wrong(tmp_path):
    write_grid(tmp_path / "runs", smoothing_helps=False)
    found = verdicts(tmp_path / "runs")
    refuted = {number for number, verdict in found.items() if verdict == "not reproduced"}
    assert refuted == {2, 3, 4, 5, 6, 7, 10}
    assert found[9] == "reproduced"


def test_the_same_temperature_chosen_twice_decides_nothing(tmp_path):
    """ECE and NLL are least at the same T here: the gain is exactly 0 in every resample."""
    write_grid(tmp_path / "runs")
    (finding,) = [f for f in claims.findings(table.load([tmp_path / "runs"]), draws=50) if f.claim.number == 8]
    assert finding.verdict == "inconclusive" and finding.estimate.interval() == (0.0, 0.0)


def test_one_seed_proves_nothing_and_what_is_missing_is_named(tmp_path):
    write_grid(tmp_path / "one", seeds=(1,))
    assert set(verdicts(tmp_path / "one").values()) == {"inconclusive"}
    rows = [row for row in table.load([tmp_path / "one"]) if row.record.beam != 50]
    missing = [f for f in claims.findings(rows, draws=50) if f.verdict == "not measured"]
    assert [f.claim.number for f in missing] == [10]
    assert missing[0].why == "test, alpha 0, seed 1, beam50, T 1.0"
    hard = table.select(rows, alpha=0.0)
    assert {f.why for f in claims.findings(hard)} == {"runs of alpha 0 and 0.1 with the same seed on valid and test"}


def test_a_run_that_is_measured_in_part_does_not_count(tmp_path):
    write_grid(tmp_path / "runs")
    rows = table.load([tmp_path / "runs"])
    for split in ("valid", "test"):
        in_part = [row for row in rows if (row.record.seed, row.record.alpha, row.record.split) != (2, 0.1, split)]
        without = [row for row in rows if row.record.seed != 2]
        assert claims.findings(in_part, draws=50) == claims.findings(without, draws=50)


def test_the_command_prints_the_table_and_writes_it_into_a_readme(tmp_path):
    write_grid(tmp_path / "runs")
    readme = tmp_path / "README.md"
    readme.write_text("before\n<!-- claims on grid -->\nold\n<!-- end of claims on grid -->\nafter\n")
    found = run([sys.executable, "-m", "analysis.claims", str(tmp_path / "runs"), "--into", str(readme)])
    assert found.returncode == 0, found.stderr
    text = readme.read_text()
    assert text.startswith("before\n") and text.endswith("after\n") and "old" not in text
    assert len([line for line in text.splitlines() if line.startswith("| ")]) == 2 + len(translation_claims.CLAIMS)
    assert len(found.stdout.splitlines()) == 1 + len(translation_claims.CLAIMS)
    again = text
    assert run([sys.executable, "-m", "analysis.claims", str(tmp_path / "runs"), "--into", str(readme)]).returncode == 0
    assert readme.read_text() == again  # the same records give the same table
    (tmp_path / "other.md").write_text("no marks\n")
    with pytest.raises(RecordError, match="no lines"):
        table.write_between(tmp_path / "other.md", "claims", "x")
