"""SmoothECE: a calibration error without bins (Blasiok and Nakkiran 2023, arXiv 2309.12236).

A kernel of bandwidth sigma smooths the residuals, hit - confidence, over the confidences:

    smECE_sigma = integral over t in [0, 1] of |1/N sum_i K_sigma(t, f_i) (y_i - f_i)|

The kernel K is the Gaussian with standard deviation sigma, reflected at 0 and at 1. smECE is the one sigma for which
smECE_sigma = sigma: smoothing with a wider kernel never raises the integral. The package relplot has the same kernel.
"""

from __future__ import annotations

import numpy as np

from .bins import Bins


def smooth_ece(bins: Bins) -> float:
    """SmoothECE in [0, 1] of equal-width bins, whose predictions count as at the middle of their bin (NaN when empty).

    Take fine bins (`FINE_BINS`), which add up over batches and workers. A bin of width w moves a prediction by w / 2 at
    most, and smECE_sigma by less than w / (2 sigma) times the mean |hit - confidence|. Also NaN for sums that are.
    """
    if not (bins.n and np.isfinite([bins.confidence, bins.hits]).all()):
        return float("nan")
    from scipy import optimize  # here, because it takes half a second of a start, and few commands need it

    # At 0 nothing is smoothed; at 2 the integral, which is at most 1, is below the bandwidth.
    return float(optimize.brentq(lambda sigma: smooth_ece_at(bins, sigma) - sigma, 0.0, 2.0, xtol=1e-9))


def smooth_ece_at(bins: Bins, bandwidth: float) -> float:
    """smECE_sigma of equal-width bins at a bandwidth >= 0, with the integral as a sum over the bins.

    The reflected Gaussian has the cosines cos(pi k t) as eigenfunctions, with eigenvalues exp(-(pi k sigma)^2 / 2): it
    is the heat kernel of [0, 1]. So a discrete cosine transform smooths in O(B log B), with all reflections.
    """
    from scipy import fft

    residuals = (bins.hits - bins.confidence) / bins.count.sum()
    frequencies = np.arange(len(residuals))
    damped = fft.dct(residuals) * np.exp(-((np.pi * bandwidth * frequencies) ** 2) / 2)
    return float(np.abs(fft.idct(damped)).sum())
