"""python -m mt_ls.average: the command of `mt_ls.measure.average`."""

import sys

from .quick_import import without_statistics
from .terminal import prepare, silence_libraries

if __name__ == "__main__":
    prepare("mt_ls.average")
    silence_libraries()
    with without_statistics():
        from .measure.average import main

    sys.exit(main())
