"""The commands of docs/usage.md about training: each is whole, and fairseq takes all of its options."""

import pytest
from commands import documented
from fairseq import options
from fairseq.dataclass.utils import convert_namespace_to_omegaconf

import mt_ls.plugin  # noqa: F401

PARSERS = {
    "fairseq-train": options.get_training_parser,
    "fairseq-generate": options.get_generation_parser,
    "fairseq-interactive": options.get_interactive_generation_parser,
}


@pytest.mark.parametrize("program", PARSERS)
def test_fairseq_takes_every_option(program):
    cfg = convert_namespace_to_omegaconf(
        options.parse_args_and_arch(PARSERS[program](), input_args=documented("Train", program))
    )
    assert cfg.task._name == "translation_with_calibration"
    assert cfg.task.data == "data-bin/multi30k" and cfg.common.user_dir
    if program == "fairseq-train":
        assert cfg.criterion._name == "label_smoothed_cross_entropy_with_calibration"
        assert cfg.criterion.label_smoothing == 0.1 and cfg.dataset.max_tokens and cfg.optimization.max_update
    else:
        assert cfg.task.calibration_records
