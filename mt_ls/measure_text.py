"""python -m mt_ls.measure_text: the command of `mt_ls.measure.text`."""

import sys

from .measure.text import main

if __name__ == "__main__":
    sys.exit(main())
