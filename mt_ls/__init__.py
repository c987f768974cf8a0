"""When does label smoothing help? A fairseq plugin (``--user-dir "$(python -m mt_ls)"``) and its library.

- `mt_ls.smoothing`: the loss.
- `mt_ls.calibration`: bins, ECE, temperatures, alignment and geometry of arrays.
- `mt_ls.records`: the records of measured models.
- `mt_ls.measure`: models in, records out (``python -m mt_ls.measure``).
- `mt_ls.plugin`: criterion, task and training command for fairseq (``python -m mt_ls.train``).
- `mt_ls.vision`: image classifiers, trained and measured (``python -m mt_ls.vision``).

The plugin registers itself only where fairseq is imported already, as it is under ``--user-dir``. So
``import mt_ls.records`` in an analysis imports no fairseq.
"""

import sys

__version__ = "0.2.0"

if "fairseq" in sys.modules:
    from . import plugin  # noqa: F401
