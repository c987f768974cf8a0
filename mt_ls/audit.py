"""python -m mt_ls.audit: the command of `mt_ls.measure.audit`."""

import sys

from .terminal import prepare, silence_libraries

if __name__ == "__main__":
    prepare("mt_ls.audit")
    silence_libraries()
    from .measure.audit import main

    sys.exit(main())
