"""The contrast of colours by WCAG 2.2."""

import numpy as np


def rgb(colour):
    """The parts of a colour, of 255: of "#rrggbb", or of what a browser computes, "rgb(1, 2, 3)" or "rgba(...)"."""
    if colour.startswith("#"):
        return [int(colour[i : i + 2], 16) for i in (1, 3, 5)]
    return [float(part) for part in colour.partition("(")[2].removesuffix(")").split(",")[:3]]


def contrast(one, other):
    """The contrast ratio of two colours."""
    dark, light = sorted(map(_luminance, (one, other)))
    return (light + 0.05) / (dark + 0.05)


def _luminance(colour):
    parts = np.array(rgb(colour)) / 255
    linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])
