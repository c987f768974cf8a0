"""python -m mt_ls.measure_text: the command of `mt_ls.measure.text`."""

import logging
import sys
import warnings

from .terminal import prepare

if __name__ == "__main__":
    prepare("mt_ls.measure_text")
    logging.disable(logging.WARNING)  # fairseq logs and warns while it loads a model
    warnings.simplefilter("ignore")
    from .measure.text import main

    sys.exit(main())
