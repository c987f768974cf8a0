"""mt_ls: when does label smoothing help? A fairseq plugin (``--user-dir mt_ls``) and its pure core.

The plugin registers itself only where fairseq is already imported, as it is under ``--user-dir``. So
``import mt_ls.records`` in an analysis costs no fairseq.
"""

import sys

__version__ = "0.1.0"

if "fairseq" in sys.modules:
    from . import plugin  # noqa: F401
