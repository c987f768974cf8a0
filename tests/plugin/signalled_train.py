"""python signalled_train.py COMMAND SIGNAL UPDATE RANK OPTIONS...: a training that interrupts itself.

COMMAND is "stock" (fairseq-train) or "mt_ls". The worker RANK sends SIGNAL to itself as it begins the update after
UPDATE updates: always at the same place, which a test that watches a log from outside cannot do.
"""

import os
import signal
import sys

from fairseq_cli import train as stock

from mt_ls.plugin import train
from mt_ls.plugin.task import TranslationWithCalibrationTask as Task

if __name__ == "__main__":
    command, signal_name, update, rank, *options = sys.argv[1:]
    undisturbed_step = Task.train_step

    def train_step(self, sample, model, criterion, optimizer, update_num, ignore_grad=False):
        if update_num == int(update) and os.environ.get("RANK", "0") == rank:
            os.kill(os.getpid(), signal.Signals[signal_name])
        return undisturbed_step(self, sample, model, criterion, optimizer, update_num, ignore_grad)

    Task.train_step = train_step
    sys.argv[1:] = options
    status = stock.cli_main() if command == "stock" else train.main()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status or 0)
