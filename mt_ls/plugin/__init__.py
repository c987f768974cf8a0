"""fairseq's side: importing this package registers the plugin in a process that runs fairseq.

Registered by import:

- `criterion`: ``label_smoothed_cross_entropy_with_calibration``, which calls the loss of `mt_ls.smoothing`.
- `task`: ``translation_with_calibration``.
- `architectures`: the small Transformers of the recipes.
- `safe_globals`: checkpoints load with torch's safe unpickler.
- `configuration`: bad values of options end a command in one line, and ``--bf16`` trains on a GPU.
- `trainer`: fairseq's trainer with the faster parts of ``--faster``, in a process that trains.

Parts of them:

- `option_errors`, `precision`, `curves`: what `configuration` checks and raises.
- `projection`: the matrix that makes a Transformer's logits of its hidden states.
- `target_counts`: token counts of the training targets.
- `ensemble`, `finished`: a search at many temperatures at once, whose finished hypotheses are on the host.
- `hypotheses`: probabilities of the tokens of finished hypotheses.
- `recording`: the file of ``--calibration-records``.
- `faster`: the names of ``--faster``.
- `dropout`, `attention`, `optimizer`, `batches`: fairseq's parts of those names in less time.
- `stopping`: a stop that all workers agree on; `patience`: early stopping of a training that was stopped.
- `train`: the command ``python -m mt_ls.train``.
"""

import sys

from . import architectures, configuration, criterion, safe_globals, task  # noqa: F401

if "fairseq.trainer" in sys.modules:  # only a training command has imported it by now
    from . import trainer  # noqa: F401
