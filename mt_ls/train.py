"""python -m mt_ls.train: the command of `mt_ls.plugin.train`."""

import logging
import os
import sys

from .quick_import import without_statistics
from .terminal import interrupted, not_installed

if __name__ == "__main__":
    # As in fairseq's command: logging is set up before fairseq logs its first line.
    logging.basicConfig(
        format="%(asctime)s | %(levelname)s | %(name)s | %(message)s",
        datefmt="%Y-%m-%d %H:%M:%S",
        level=os.environ.get("LOGLEVEL", "INFO").upper(),
        stream=sys.stdout,
    )
    try:
        with without_statistics():
            from .plugin.train import main

        status = main()
    except KeyboardInterrupt:
        status = interrupted("mt_ls.train", " before the training began")
    except ModuleNotFoundError as error:
        line = not_installed(error)
        if line is None:
            raise
        print(f"mt_ls.train: error: {line}", file=sys.stderr)
        status = 2
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)  # a thread of fairseq's batch reader may run on, and can abort an ordinary exit
