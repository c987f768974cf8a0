"""python -m mt_ls.average: the command of `mt_ls.measure.average`."""

import logging
import sys
import warnings

from .quick_import import without_sklearn
from .terminal import prepare

if __name__ == "__main__":
    prepare("mt_ls.average")
    logging.disable(logging.WARNING)  # fairseq logs and warns while it is imported
    warnings.simplefilter("ignore")
    with without_sklearn():
        from .measure.average import main

    sys.exit(main())
