"""The files in a ``.deb``: an ``ar`` archive that holds a compressed ``tar``."""

from __future__ import annotations

import io
import lzma
import posixpath
import tarfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

from .. import DataError

_MAGIC = b"!<arch>\n"
_HEADER = 60


def members(deb: Path, wanted: Callable[[str], bool]) -> Iterator[tuple[str, bytes]]:
    """Name and content of each regular file of a package whose name is ``wanted``, in the order of the archive.

    Raises DataError for what is no package, is broken, or is compressed in another way than ``xz`` or ``gz``.
    """
    try:
        with tarfile.open(fileobj=io.BytesIO(_data(deb.read_bytes())), mode="r:*") as archive:
            for member in archive:
                name = posixpath.normpath(member.name)
                file = archive.extractfile(member) if member.isfile() and wanted(name) else None
                if file is not None:
                    yield name, file.read()
    except (tarfile.TarError, lzma.LZMAError, zlib.error, EOFError, ValueError) as error:
        raise DataError(f"{deb}: not a readable package ({error}); delete it and run again") from None


def _data(deb: bytes) -> bytes:
    """The bytes of the member ``data.tar.*``. Raises ValueError where there is none."""
    if not deb.startswith(_MAGIC):
        raise ValueError("it is no ar archive")
    place = len(_MAGIC)
    while place + _HEADER <= len(deb):
        header = deb[place : place + _HEADER]
        name, size = header[:16].decode("ascii").strip().rstrip("/"), int(header[48:58])
        place += _HEADER
        if name.startswith("data.tar"):
            if name.endswith(".zst"):
                raise ValueError("its data are compressed with zstd: repack it with dpkg-deb -b -Zxz")
            if place + size > len(deb):
                raise ValueError("it is cut")
            return deb[place : place + size]
        place += size + size % 2
    raise ValueError("it has no data.tar")
