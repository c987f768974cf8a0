"""Files of images: their encoding, and the image in them."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

from . import DataError

if TYPE_CHECKING:
    from PIL import Image


def encoding(file: bytes) -> str:
    """The encoding of an image's file by its first bytes, "?" where it is another than PNG, JPEG and WebP.

    A WebP file holds one lossless image (``VP8L``), one that is not (``VP8 ``), or an extended header (``VP8X``) with
    chunks after it, of which one is the image.
    """
    if file.startswith(b"\x89PNG"):
        return "PNG"
    if file.startswith(b"\xff\xd8"):
        return "JPEG"
    if file[:4] == b"RIFF" and file[8:12] == b"WEBP":
        return "WebP, lossless" if _has_lossless_chunk(file) else "WebP"
    return "?"


def _has_lossless_chunk(webp: bytes) -> bool:
    """Whether a WebP file has a chunk of a lossless image. A chunk is a name, its size, and as many bytes, padded to an
    even number."""
    start = 12
    while start + 8 <= len(webp):
        if webp[start : start + 4] == b"VP8L":
            return True
        size = int.from_bytes(webp[start + 4 : start + 8], "little")
        start += 8 + size + size % 2
    return False


def decoded(stored: dict[str, Any], where: str) -> Image.Image:
    """The image of a file as `datasets` stores it. Raises DataError, with its place ``where``, for a file that is no
    image."""
    from PIL import Image

    try:
        image: Image.Image = Image.open(io.BytesIO(stored["bytes"]) if stored["bytes"] else stored["path"])
        image.load()
    except (OSError, ValueError, SyntaxError) as error:  # Pillow's errors for a file that is no image
        raise DataError(f"{where}: cannot be read as an image ({error})") from None
    return image
