"""python -m mt_ls.vision DATA --network alexnet --alpha 0.1 --seed 1 --run runs/cifar10_alexnet_a0.10_s1

Train one network by the paper's protocol, measure it, and append records to records.jsonl in the run's folder. With
--teacher RUN it learns from the network of that run. The same command continues a run that was stopped.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import get_args

from ..terminal import prepare

if __name__ == "__main__":
    prepare("mt_ls.vision")

import torch

from ..calibration.temperature import check_temperature
from ..records import Sight
from . import VisionError, images, mutual_information
from .checkpoints import FILE, Settings
from .distillation import distillation_of
from .images import Classes, Images, Manifest
from .measure import empty_record, measure
from .mutual_information import Pair, pair_of
from .protocols import protocol_of
from .training import Training


def main(arguments: list[str] | None = None) -> int:
    """Train and measure one network. Return 0, or 2 after one line on stderr."""
    options = _options(arguments)
    device = torch.device("cuda" if torch.cuda.is_available() and not options.cpu else "cpu")
    try:
        manifest = images.read_manifest(options.data)
        planes = [_plane(manifest, names) for names in options.planes]
        data = {split: images.load(options.data, split, device) for split in ("train", "valid", "test")}
        pair = options.information and pair_of(data["train"], manifest, options.information, options.network)
        distillation, teacher, teacher_run = None, None, None
        if options.teacher:
            distillation, teacher, teacher_run = distillation_of(
                options.teacher,
                data["train"],
                options.network,
                options.beta,
                options.teacher_temperature,
                options.teacher_sees,
                options.bf16,
            )
        height, width, channels = manifest.shape
        settings = Settings(
            network=options.network,
            alpha=options.alpha,
            seed=options.seed,
            updates=options.updates or protocol_of(options.network).updates,
            shape=(channels, height, width),
            n_classes=len(manifest.classes),
            data=manifest.hash,
            teacher=teacher,
            teacher_run=teacher_run,
            bf16=options.bf16,
        )
        training = Training(settings, data["train"], options.run / FILE, distillation)
        train_and_measure(training, manifest.name, data, planes, pair, options.run, options.information_every)
    except (ValueError, OSError) as error:
        print(f"mt_ls.vision: error: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    return 0


def train_and_measure(
    training: Training,
    corpus: str,
    data: dict[str, Images],
    planes: list[Classes],
    pair: Pair | None,
    folder: Path,
    information_every: int = 1,
) -> None:
    """Train to the end and append the records to records.jsonl in ``folder``.

    The mutual information of ``pair`` is recorded before the first update, at the end of training, and of each epoch in
    which the number of updates passes a multiple of ``information_every``.
    """
    settings, records = training.settings, folder / "records.jsonl"
    run = folder.resolve().name
    for updates in training.epochs():
        passed = updates // information_every > (updates - training.updates_per_epoch) // information_every
        if pair and (passed or updates == settings.updates):
            training.save()  # the weights of a record can then be had again, to the last bit
            record = empty_record(training.network, settings, corpus, run, updates)
            mutual_information.measure(training.network, record, pair, records)
    record = empty_record(training.network, settings, corpus, run, settings.updates)
    measure(training.network, record, data, planes, records)


def _plane(manifest: Manifest, names: str) -> Classes:
    """The three classes of an option. Raises VisionError for another number of them, or an unknown class."""
    classes = manifest.chosen(names.split(";"))
    if len(classes.names) != 3:
        raise VisionError(f"--planes {names}: a plane goes through three classes, not {len(classes.names)}")
    return classes


def _teacher_temperature(text: str) -> float | None:
    """The temperature of an option, None for "logits"."""
    try:
        return None if text == "logits" else check_temperature(float(text))
    except ValueError:
        raise argparse.ArgumentTypeError(f"must be a number greater than 0, or logits, not {text!r}") from None


def _whole_number(text: str) -> int:
    """The whole number greater than 0 of an option."""
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"must be a whole number greater than 0, not {text!r}")
    return int(text)


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m mt_ls.vision", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("data", type=Path, help="folder that data_prep wrote")
    add(
        "--network",
        required=True,
        help="mlp_1200_dropout, mlp_800, alexnet, resnet_20, resnet_56_t2t, ...",
    )
    add("--alpha", type=float, default=0.0, help="label smoothing in the paper's convention (default: 0)")
    add("--seed", type=int, default=1, help="seed of the weights and of training (default: 1)")
    add("--updates", type=int, help="length of training; the learning rate falls in proportion (default: the paper's)")
    add("--run", type=Path, required=True, help="folder for the checkpoint and the records")
    add("--teacher", type=Path, help="folder of a finished run to learn from")
    add("--beta", type=float, default=1.0, help="the teacher's part of the loss (default: 1)")
    add(
        "--teacher-temperature",
        type=_teacher_temperature,
        default=1.0,
        metavar="T",
        help="temperature of the teacher's probabilities, or logits: half the mean squared error of the logits",
    )
    add(
        "--teacher-sees",
        choices=get_args(Sight),
        default="whole",
        help="whole images, or augmented ones as its student does (tensor2tensor's way; default: whole)",
    )
    add(
        "--information",
        nargs=2,
        metavar="CLASS",
        help="record the mutual information of two classes before training and after each epoch",
    )
    add(
        "--information-every",
        type=_whole_number,
        default=1,
        metavar="UPDATES",
        help="only after epochs that pass a multiple of so many updates, beside the start and the end (default: each)",
    )
    add("--planes", nargs="*", default=[], metavar="A;B;C", help="record activations on planes through three templates")
    add("--bf16", action="store_true", help="train with products in bfloat16; measuring uses float32")
    add("--cpu", action="store_true", help="use the CPU where there is a GPU")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
