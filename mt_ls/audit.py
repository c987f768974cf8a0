"""python -m mt_ls.audit: the command of `mt_ls.measure.audit`."""

import logging
import sys
import warnings

from .terminal import prepare

if __name__ == "__main__":
    prepare("mt_ls.audit")
    logging.disable(logging.WARNING)  # fairseq logs and warns while it is imported
    warnings.simplefilter("ignore")
    from .measure.audit import main

    sys.exit(main())
