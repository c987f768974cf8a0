"""The batches of a training do not depend on where it was interrupted."""

import numpy as np
import pytest


@pytest.mark.parametrize("epoch", [1, 2, 5])
def test_a_training_that_resumes_has_the_batches_of_its_first_epoch(loaded, epoch):
    _, task, _ = loaded
    task.load_dataset("train")
    options = {"max_tokens": 600, "seed": 1, "disable_iterator_cache": True}
    first = task.get_batch_iterator(task.datasets["train"], epoch=1, **options)
    resumed = task.get_batch_iterator(task.datasets["train"], epoch=epoch, **options)
    assert resumed.next_epoch_idx == epoch
    assert len(first.frozen_batches) == len(resumed.frozen_batches) > 1
    assert all(map(np.array_equal, first.frozen_batches, resumed.frozen_batches))
