"""python -m mt_ls.vision DATA --network alexnet --alpha 0.1 --seed 1 --run runs/cifar10_alexnet_a0.10_s1

One network, trained by the paper's protocol and measured: records of mode "images" in the run's folder. With
``--teacher RUN`` it learns from that run's network. The same command again goes on where it stopped.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import torch

from ..records import record as records
from ..records.record import RecordError
from ..weights import weights_hash
from . import VisionError, images, mutual_information
from . import measure as measuring
from .training import Settings, Teacher, Training, protocol_of, trained


def main(arguments: list[str] | None = None) -> int:
    """Train and measure; 0, or 2 with one line on stderr."""
    try:
        run(_options(arguments))
    except (VisionError, RecordError, ValueError, OSError) as error:
        print(f"mt_ls.vision: error: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    return 0


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m mt_ls.vision", description=__doc__)
    add = parser.add_argument
    add("data", type=Path, help="folder that data_prep made")
    add("--network", required=True, help="mlp_1200_dropout, mlp_800, alexnet, resnet_56, resnet_20, inception_v4, ...")
    add("--alpha", type=float, default=0.0, help="label smoothing, the paper's convention")
    add("--seed", type=int, default=1)
    add("--updates", type=int, help="how long, instead of the protocol's; the learning rate falls in proportion")
    add("--run", type=Path, required=True, help="folder of the checkpoint and of the records")
    add("--teacher", type=Path, help="folder of a finished run to learn from")
    add("--beta", type=float, default=1.0, help="the teacher's part of the loss")
    add("--teacher-temperature", default="1", help="a number, or logits: half their mean squared error")
    add("--information", nargs=2, metavar="CLASS", help="record the mutual information of two classes at each epoch")
    add("--planes", nargs="*", default=[], metavar="A;B;C", help="keep activations on planes through three templates")
    add("--bf16", action="store_true", help="train with products in bfloat16; measured in float32 all the same")
    add("--cpu", action="store_true")
    return parser.parse_args(arguments)


def run(options: argparse.Namespace) -> None:
    """Train and measure one network."""
    device = torch.device("cuda" if torch.cuda.is_available() and not options.cpu else "cpu")
    found = images.manifest(options.data)
    planes = {names: images.numbers(found["classes"], names.split(";")) for names in options.planes}
    data = {split: images.load(options.data, split, device) for split in ("train", "valid", "test")}
    teacher, told = _teacher(options, data["train"])
    settings = Settings(
        options.network,
        options.alpha,
        options.seed,
        options.updates or protocol_of(options.network).updates,
        list(data["train"].pixels.shape[1:]),
        len(found["classes"]),
        found["hash"],
        told,
        options.bf16,
    )
    training = Training(settings, data["train"], options.run / "checkpoint.pt")
    file = options.run / "records.jsonl"
    corpus = found["corpus"] + (" (JPEG)" if found["encoding"] == "JPEG" else "")

    def template(updates: int) -> Any:
        return measuring.template(training.evaluated, settings, corpus, options.run.resolve().name, updates)

    pair = options.information and mutual_information.pair(data["train"], found["classes"], options.information)
    for update in training.epochs(teacher):
        if pair:
            mutual_information.record(training.evaluated, template(update), pair, file)
    measuring.measure(training.evaluated, template(settings.updates), data, planes, file)


def _teacher(options: argparse.Namespace, data: images.Images) -> tuple[Teacher | None, dict[str, Any] | None]:
    """The teacher of these images, and what the records say of it."""
    if options.teacher is None:
        return None, None
    network, settings = trained(options.teacher, data.pixels.device)
    temperature = None if options.teacher_temperature == "logits" else float(options.teacher_temperature)
    known = records.read(options.teacher / "records.jsonl")
    at = [record.gamma for record in known if record.gamma is not None and record.temperature == temperature]
    told = {
        "run": options.teacher.resolve().name,
        "network": settings.network,
        "alpha": settings.alpha,
        "temperature": temperature,
        "beta": options.beta,
        "gamma": at[-1] if at else None,
        "checkpoint": weights_hash(network.state_dict()),
    }
    return Teacher(network, settings.network, data, options.beta, temperature), told


if __name__ == "__main__":
    sys.exit(main())
