"""python -m mt_ls: the package's folder, the value of fairseq's ``--user-dir`` in any folder."""

import argparse
from pathlib import Path

DESCRIPTION = """Print the folder of this package. It is what --user-dir of fairseq's commands takes, in any folder:

  fairseq-train DATA-BIN --user-dir "$(python -m mt_ls)" --task translation_with_calibration \\
      --criterion label_smoothed_cross_entropy_with_calibration --label-smoothing 0.1 --arch transformer ...

The other commands, each with --help:

  python -m mt_ls.train          fairseq-train for machines that stop and fail
  python -m mt_ls.audit          checkpoints or translations of several systems, measured for one report
  python -m mt_ls.average        the mean of several checkpoints of a training, as a checkpoint
  python -m mt_ls.measure        calibration and BLEU of a checkpoint
  python -m mt_ls.measure_text   the same of translations and their token probabilities
  python -m mt_ls.vision         image classifiers, trained and measured
"""


def main(arguments: list[str] | None = None) -> None:
    """Print the folder. Bad options exit with status 2."""
    parser = argparse.ArgumentParser(
        prog="python -m mt_ls", description=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.parse_args(arguments)
    # As fairseq finds it in sys.modules: it takes no other spelling of the folder of a package that is imported.
    print(Path(__file__).parent)


if __name__ == "__main__":
    main()
