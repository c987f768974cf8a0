"""The commands of docs/usage.md about training: each is whole, and fairseq takes all of its options."""

import pytest
from commands import documented
from fairseq import options
from fairseq.dataclass.utils import convert_namespace_to_omegaconf

import mt_ls.plugin  # noqa: F401


@pytest.mark.parametrize(
    ("program", "parser", "values"),
    [
        (
            "fairseq-train",
            options.get_training_parser,
            {
                "task._name": "translation_with_calibration",
                "criterion._name": "label_smoothed_cross_entropy_with_calibration",
                "criterion.label_smoothing": 0.1,
                "optimization.lr": [0.005],
            },
        ),
        ("fairseq-validate", options.get_validation_parser, {"task._name": "translation"}),
        ("fairseq-generate", options.get_generation_parser, {"task.calibration_records": "tokens.jsonl"}),
        ("fairseq-interactive", options.get_interactive_generation_parser, {"task.calibration_records": "typed.jsonl"}),
    ],
)
def test_fairseq_takes_every_option(program, parser, values):
    args = options.parse_args_and_arch(parser(), input_args=documented("Train", program))
    cfg = convert_namespace_to_omegaconf(args)
    for name, value in {"task.data": "data-bin/multi30k", **values}.items():
        section, key = name.split(".")
        assert cfg[section][key] == value
