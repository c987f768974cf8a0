"""python -m mt_ls.measure_text: the command of `mt_ls.measure.text`."""

import sys

from .terminal import prepare, silence_libraries

if __name__ == "__main__":
    prepare("mt_ls.measure_text")
    silence_libraries()
    from .measure.text import main

    sys.exit(main())
