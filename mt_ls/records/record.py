"""`Record`: one model on one split in one mode at one temperature, as one line of JSON.

ECE is never stored: it is computed from the bins.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any, Literal, get_args

import msgspec
import numpy as np

from .. import __version__
from ..calibration.bins import Bins
from .model import Model

SCHEMA = 2
Mode = Literal["forced", "beam", "activations", "images", "information"]


class RecordError(ValueError):
    """A records file that cannot be read, or a record that cannot be written. The message names the line or the run."""


class TeacherRun(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The run of a `Teacher` that taught this one: its name, the hash of its weights, and ``gamma``, its mean
    probability on wrong classes of the training images, times K / (K - 1) (None where it taught its logits)."""

    run: str
    checkpoint: str
    gamma: float | None


class Record(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A field that was not measured is None, and absent from the line.

    ``nll`` is in nats a token or image, ``bins`` hold sums, ``seconds`` are wall-clock. ``items`` names the Parquet
    file beside the records that holds the sums of each sentence or image, None where none were kept. ``fitted_on`` is
    the split whose even-numbered sentences (counted from 0) chose ``fitted_temperature``. ``parts`` are the numbers of
    sentences of each kind of text, which come kind after kind. ``docs/records.md`` describes every field.
    """

    run: str
    model: Model
    seed: int | None = None
    mode: Mode
    split: str
    temperature: float
    bins: Bins
    n_tokens: int
    n_sentences: int
    n_sentences_in_set: int
    parts: dict[str, int] | None = None
    sha: dict[str, str]
    versions: dict[str, str]
    updates: int | None = None
    teacher_run: TeacherRun | None = None
    gamma: float | None = None
    mutual_information: dict[str, Any] | None = None
    geometry: dict[str, Any] | None = None
    beam: int | None = None
    lenpen: float | None = None
    search_precision: Literal["fp16", "bf16"] | None = None
    n_left_out: int | None = None
    nll: float | None = None
    perplexity: float | None = None
    accuracy: float | None = None
    confidence: float | None = None
    brier: float | None = None
    bins_equal_mass: Bins | None = None
    smooth_ece: float | None = None
    token_naurc: dict[str, float] | None = None
    bins_by_class: dict[str, Bins] | None = None
    bins_full: Bins | None = None
    bleu: dict[str, Any] | None = None
    bleu_uncased: dict[str, Any] | None = None
    chrf: dict[str, Any] | None = None
    ter: dict[str, Any] | None = None
    length_ratio: float | None = None
    fitted_temperature: float | None = None
    fitted_on: str | None = None
    items: str | None = None
    seconds: float | None = None
    device: str | None = None
    unit: str = "spm"

    @property
    def signature(self) -> str:
        """The line that travels with an ECE of this record, in sacrebleu's manner."""
        smoothing = self.model.smoothing
        parts = [
            "ECE",
            f"mode:{self.mode}",
            f"hit:{'ter' if self.mode == 'beam' else 'argmax'}",
            f"unit:{self.unit}",
            f"split:{self.split}",
            f"bins:{len(self.bins.count)}w",
            f"T:{self.temperature:.2f}",
            "" if self.beam is None else f"b:{self.beam}",
            "" if self.search_precision is None else f"search:{self.search_precision}",
            "" if smoothing is None else f"a:{smoothing.label}",
            f"n:{self.bins.n}",
            "" if self.seed is None else f"s:{self.seed}",
            f"ck:{self.sha['checkpoint'][:8]}",
            f"data:{self.sha['data'][:8]}",
            f"code:{self.sha['code'][:7]}",
            f"v:{self.versions['mt_ls']}",
        ]
        return "|".join(part for part in parts if part)

    @property
    def key(self) -> tuple[Any, ...]:
        """Two records of one key are the same work: a run that was killed goes on after the keys that it finds."""
        sha = (self.sha["checkpoint"], self.sha["data"])
        search = (self.beam, self.lenpen, self.search_precision)
        return (*sha, self.split, self.mode, round(self.temperature, 6), *search)

    @property
    def name(self) -> str:
        """The record's name among those of its folder, for example "beam5_test_T1.0000_26d05b56_79b3c41e".

        It ends with the beginnings of the hashes of weights and data.
        """
        search = "" if self.beam is None else str(self.beam)
        search += "" if self.lenpen in (None, 1.0) else f"_lenpen{self.lenpen:g}"
        search += "" if self.search_precision is None else f"_{self.search_precision}"
        return f"{self.mode}{search}_{self.split}_T{self.temperature:.4f}_{self._hashes}"

    @property
    def _hashes(self) -> str:
        return f"{self.sha['checkpoint'][:8]}_{self.sha['data'][:8]}"

    def to_json(self) -> str:
        """One line, without its newline. Raises RecordError for a number that is not finite."""
        fields = {"schema": SCHEMA, **msgspec.to_builtins(self, enc_hook=_encode), "signature": self.signature}
        try:
            return json.dumps(fields, ensure_ascii=False, allow_nan=False)
        except ValueError:
            infinite = [name for name, value in fields.items() if _not_finite(value)]
            raise RecordError(
                f"{self.run}: not finite on {self.split} at T = {self.temperature:g}: {', '.join(infinite)}; the "
                "model's outputs are of no use, as after a training that diverged: look at its loss, and train it again"
            ) from None

    @classmethod
    def from_json(cls, line: str) -> Record:
        """The inverse of `to_json`. Raises RecordError for what is no record, or one of another schema."""
        fields: Any = None
        try:
            fields = json.loads(line, parse_constant=_refuse)
            if not isinstance(fields, dict):
                raise ValueError(f"{fields!r:.40} is no object")
            schema = fields.pop("schema", 1)
            if schema != SCHEMA:
                raise ValueError(f"of schema {schema}, and this version reads schema {SCHEMA}: measure again")
            fields.pop("signature", None)
            if fields.get("mode") not in get_args(Mode):
                raise ValueError(f"mode {fields.get('mode')!r:.40} is none of {', '.join(get_args(Mode))}")
            if infinite := [name for name, value in fields.items() if _not_finite(value)]:
                raise ValueError(f"not finite: {', '.join(infinite)}")
            record = msgspec.convert(fields, cls, dec_hook=_decode)
            record._check()
            return record
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise RecordError(f"not a record ({_other_version(fields)}{' '.join(str(error).split())})") from None

    def _check(self) -> None:
        """Raises ValueError for a value of the right type that no measurement gives."""
        if self.temperature <= 0 or min(self.n_tokens, self.n_sentences, self.n_sentences_in_set) < 0:
            raise ValueError("a temperature is greater than 0, a count is not negative")
        if (self.fitted_temperature is not None and self.fitted_temperature <= 0) or (
            self.beam is not None and self.beam < 1
        ):
            raise ValueError("a fitted temperature is greater than 0, a beam is at least 1")
        if not self.split or "/" in self.split:
            raise ValueError(f"split {self.split!r:.40} is no name: it is empty, or has a slash")
        if not ({"data", "checkpoint", "code"} <= self.sha.keys() and "mt_ls" in self.versions):
            raise ValueError("sha needs data, checkpoint and code, versions needs mt_ls")
        for score in (self.bleu, self.bleu_uncased, self.chrf, self.ter):
            if score is not None and not isinstance(score.get("score"), int | float):
                raise ValueError(f"a score has no number: {score!r:.40}")
        if self.parts is not None and sum(self.parts.values()) != self.n_sentences_in_set:
            raise ValueError("parts are not those of all sentences of the set")
        if self.bins_by_class is not None and not {"others", "eos"} <= self.bins_by_class.keys():
            raise ValueError("bins_by_class needs others and eos")
        if self.mutual_information is not None and not isinstance(self.mutual_information.get("nats"), int | float):
            raise ValueError("mutual_information has no number of nats")
        if self.geometry is not None and not _are_planes(self.geometry.get("planes", [])):
            raise ValueError("planes of geometry need three classes, points (x, y, class) and templates (x, y)")
        if self.items is not None and Path(self.items).name != self.items:
            raise ValueError(f"items is {self.items!r:.40}, not the name of a file beside the records")


def _encode(value: Any) -> Any:
    if isinstance(value, Bins):
        return value.to_json()
    if isinstance(value, np.generic):
        return value.item()
    raise NotImplementedError(f"no JSON for {type(value).__name__}")


def _decode(target: type, value: Any) -> Any:
    if target is Bins:
        return Bins.from_json(value)
    raise NotImplementedError(f"no {target.__name__} in a record")


def _other_version(fields: Any) -> str:
    """The beginning of a reason, where the version that wrote the fields of a record is not this one."""
    versions = fields.get("versions") if isinstance(fields, dict) else None
    version = versions.get("mt_ls") if isinstance(versions, dict) else None
    if version in (None, __version__):
        return ""
    return f"written by another version (mt_ls {version!s:.20}; this is {__version__}): "


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no number of JSON")


def _are_planes(planes: Any) -> bool:
    """Whether ``planes`` are those of `mt_ls.calibration.geometry.on_plane`, with the names of their classes."""
    return isinstance(planes, list) and all(
        isinstance(plane, dict)
        and len(plane.get("classes", ())) == 3
        and all(isinstance(point, list) and len(point) == 3 for point in plane.get("points", [None]))
        and all(isinstance(corner, list) and len(corner) == 2 for corner in plane.get("templates", []))
        for plane in planes
    )


def _not_finite(value: Any) -> bool:
    """Whether a value holds a number that JSON has not."""
    inside = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return any(map(_not_finite, inside)) or (isinstance(value, float) and not math.isfinite(value))
