"""--patience: as fairseq counts, and the same after a restart."""

from types import SimpleNamespace

import pytest
from fairseq_cli import train as stock

from mt_ls.plugin.patience import FILE, Patience
from mt_ls.plugin.task import TranslationWithCalibrationTask


def configuration(patience=2, maximize=False):
    return SimpleNamespace(
        checkpoint=SimpleNamespace(patience=patience, maximize_best_checkpoint_metric=maximize),
        distributed_training=SimpleNamespace(distributed_rank=0),
    )


@pytest.fixture
def after(monkeypatch):
    """A function: the answer to the loss of the validation after so many updates."""

    def answer(patience, cfg, updates, loss):
        monkeypatch.setattr(TranslationWithCalibrationTask, "update", updates - 1)
        return patience.should_stop_early(cfg, loss)

    return answer


@pytest.mark.parametrize("maximize", [False, True])
@pytest.mark.parametrize("losses", [[5, 4, 4, 4], [5, 6, 4, 5, 4.5], [5, 5.1, 4.9, 5, 4.8, 4.7], [3.0]])
def test_it_stops_where_fairseq_does(losses, maximize, tmp_path, after, monkeypatch):
    cfg, ours = configuration(maximize=maximize), Patience(tmp_path)
    for name in ("best", "num_runs"):
        monkeypatch.delattr(stock.should_stop_early, name, raising=False)
    for number, loss in enumerate(losses):
        loss = -loss if maximize else loss
        assert after(ours, cfg, 10 * (number + 1), loss) == bool(stock.should_stop_early(cfg, loss))


def test_a_restart_goes_on_counting_and_forgets_what_came_after_its_checkpoint(tmp_path, after):
    cfg, first = configuration(), Patience(tmp_path)
    assert [after(first, cfg, updates, loss) for updates, loss in ((10, 5.0), (20, 4.0), (30, 4.1))] == [False] * 3
    again = Patience(tmp_path)  # killed after update 30, and back at the checkpoint of update 20
    assert not after(again, cfg, 30, 4.1)
    assert after(Patience(tmp_path), cfg, 40, 4.2)


def test_without_patience_or_validation_nothing_is_kept(tmp_path, after):
    assert not after(Patience(tmp_path), configuration(patience=-1), 10, 5.0)
    assert not after(Patience(tmp_path), configuration(), 10, None)
    assert not (tmp_path / FILE).exists()
