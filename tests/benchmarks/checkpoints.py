"""The checkpoint that measuring is timed on, and its twin with the stock criterion and task."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path
from typing import Any

from harness import ROOT

DATA = Path(os.environ.get("DATA", ROOT / "data-bin" / "home_assistant"))
CHECKPOINT = Path(
    os.environ.get("CHECKPOINT", ROOT / "runs" / "home_assistant_a0.10_s1" / "checkpoints" / "checkpoint_last.pt")
)


def stock_twin(folder: str) -> Path:
    """The checkpoint as the stock criterion and task would have written it. Ends with one line if there is none."""
    if not CHECKPOINT.is_file() or not DATA.is_dir():
        raise SystemExit(
            f"benchmark: no checkpoint {CHECKPOINT} or no data {DATA}: run bash recipes/quickstart.sh first, or name "
            "others with CHECKPOINT=FILE DATA=FOLDER"
        )
    import fairseq  # noqa: F401
    import torch
    from fairseq.tasks.translation import TranslationConfig

    import mt_ls.plugin  # noqa: F401

    state = torch.load(CHECKPOINT, map_location="cpu", weights_only=True)
    cfg: Any = state["cfg"]
    cfg["criterion"] = {
        "_name": "label_smoothed_cross_entropy",
        "label_smoothing": 0.1,
        "report_accuracy": False,
        "ignore_prefix_size": 0,
        "sentence_avg": False,
    }
    known = {field.name for field in dataclasses.fields(TranslationConfig)}
    cfg["task"] = {**{name: value for name, value in cfg["task"].items() if name in known}, "_name": "translation"}
    cfg["model"].task = "translation"
    cfg["model"].criterion = "label_smoothed_cross_entropy"
    path = Path(folder) / "stock.pt"
    torch.save(state, path)
    return path
