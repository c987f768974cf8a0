"""Networks on images (sections 2 to 4 of Müller et al. 2019), with the loss, bins, temperatures and records of text.

- `images`: sets of images as tensors; `augment`: random and fixed transforms of a batch.
- `networks`: the paper's networks; `protocols`: how each of them is trained.
- `epochs`: everything random of an epoch; `descent`: a step along the gradients; `updates`: many updates, on a GPU as
  repetitions of a recorded one.
- `checkpoints`: settings and weights of a run; `distillation`: targets from a teacher; `training`: all of a training.
- `measure`, `mutual_information`: records of a network.

``python -m mt_ls.vision`` trains and measures one network.
"""


class VisionError(ValueError):
    """Bad input. The message is one line with the fault, its place and its remedy."""
