"""Arrays that are written as they come and end up in one .npz: memory does not grow with the corpus."""

from __future__ import annotations

import contextlib
import tempfile
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import IO

import numpy as np

from .record import Measurement, append, written_whole


class ArraySpool:
    """Named arrays, each the concatenation along axis 0 of what is appended to it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files: dict[str, IO[bytes]] = {}
        self._shapes: dict[str, tuple[int, ...]] = {}
        self._types: dict[str, np.dtype] = {}

    def append(self, **parts: np.ndarray) -> None:
        """Add rows; the first part of a name sets its type and the shape of a row."""
        for name, part in parts.items():
            if name not in self._files:
                self._files[name] = tempfile.TemporaryFile(dir=self._folder)  # noqa: SIM115  (`close` ends it)
                self._types[name], self._shapes[name] = part.dtype, (0, *part.shape[1:])
            rows, *rest = self._shapes[name]
            self._shapes[name] = (rows + len(part), *rest)
            self._files[name].write(np.ascontiguousarray(part, dtype=self._types[name]).tobytes())

    def save(self, path: str | Path) -> None:
        """Write ``path`` whole, as numpy's compressed .npz."""
        with written_whole(path) as aside, zipfile.ZipFile(aside, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, file in self._files.items():
                header = {
                    "descr": np.lib.format.dtype_to_descr(self._types[name]),
                    "fortran_order": False,
                    "shape": self._shapes[name],
                }
                with archive.open(f"{name}.npy", "w", force_zip64=True) as entry:
                    np.lib.format.write_array_header_1_0(entry, header)
                    file.seek(0)
                    while block := file.read(1 << 20):
                        entry.write(block)

    def close(self) -> None:
        """Give the space back."""
        for file in self._files.values():
            file.close()


@contextlib.contextmanager
def spools(n: int, folder: Path) -> Iterator[list[ArraySpool]]:
    """``n`` spools in a folder; their space is given back at the end, however it comes."""
    folder.mkdir(parents=True, exist_ok=True)
    made = [ArraySpool(folder) for _ in range(n)]
    try:
        yield made
    finally:
        for spool in made:
            spool.close()


def write(records: str | Path, measurement: Measurement, arrays: ArraySpool) -> None:
    """Save the arrays beside a records file under a name that tells what they are of, and append the record."""
    checkpoint = measurement.sha["checkpoint"][:8]
    mode = measurement.mode if measurement.beam is None else f"beam{measurement.beam}"
    mode += "" if measurement.lenpen in (None, 1.0) else f"_lenpen{measurement.lenpen:g}"
    name = f"{mode}_{measurement.split}_T{measurement.temperature:.4f}_{checkpoint}.npz"
    arrays.save(Path(records).with_name(name))
    append(records, replace(measurement, arrays=name))
