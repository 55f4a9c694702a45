"""The distance of prediction and truth as spectra (HDC-HRNet)."""

from __future__ import annotations

import torch
from torch import Tensor

from hooknet.training.losses import precise
from hooknet.training.region_losses import one_hot


def frequency_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Mean square of the real and imaginary parts of the spectrum of (probabilities - truth).

    ``logits`` (B, K, m, m); ``labels`` (B, m, m), 0 not annotated, 1..K.  Each class has a spectrum of its own,
    orthonormal, of the half plane that a real image needs; the mean is over images, classes, frequencies and both
    parts.  Probabilities and truth are both 0 where nothing is annotated, so that such px add nothing to any
    frequency, and a sparsely annotated image adds little.  In single precision at least: half precision has no
    FFT of all sizes.
    """
    # The description's code compares the spectrum of the arg max, which has no gradient; ours that of shares.
    shares = precise(logits).softmax(dim=1)
    missed = (shares - one_hot(labels, shares.shape[1], shares.dtype)) * (labels > 0)[:, None]
    return torch.view_as_real(torch.fft.rfft2(missed, norm="ortho")).square().mean()
