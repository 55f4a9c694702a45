"""What several single views would tell together: a pool of their opinions, without training a network of both.

Of class probabilities p_v of views v the pool takes log q(c) = sum_v w_v log p_v(c) + b_c + const, with weights
w_v >= 0 and a bias b_c per class (a logarithmic opinion pool, Genest and Zidek 1986).  It has one number a view and
one a class, found by maximum likelihood; what is told of a centre comes from a pool fitted without its group.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import logsumexp

Floats = NDArray[np.float64]

PARTS: Final = 5
#: A network is never so sure: keeps logarithms finite.
_LEAST: Final = 1e-6
#: Pulls weights to 1 and biases to 0, as much as one centre in a thousand would.
_RIDGE: Final = 1e-3


def pooled(views: Sequence[Floats], labels: NDArray[np.uint8], groups: NDArray[np.int64]) -> Floats:
    """Probabilities (n, K) of the pool of ``views``, each (n, K); those of a group by a pool that has not seen it.

    ``labels`` (n,) 1..K.  ``groups`` (n,) numbers from 0: slides or patients, dealt out to five parts or as many as
    there are groups; a single group gives a pool of its own.
    """
    told = [np.log(np.clip(one, _LEAST, None)) for one in views]
    evidence = np.stack(told, axis=-1)  # (n, K, views)
    truth = labels.astype(np.int64) - 1
    part = groups % min(PARTS, int(groups.max()) + 1)
    found = np.empty(evidence.shape[:2])
    for one in np.unique(part):
        held = part == one
        seen = ~held if (~held).any() else held
        found[held] = _apply(_fit(evidence[seen], truth[seen]), evidence[held])
    return found


def loss_of(evidence: Floats, truth: NDArray[np.int64]) -> Callable[[Floats], tuple[float, Floats]]:
    """What is made small: mean cross-entropy with a ridge, and its gradient.

    ``evidence`` (n, K, views): log probabilities; ``truth`` (n,) from 0.  It is a function of the views' weights, then
    the classes' biases.
    """
    classes, views = evidence.shape[1:]
    start = _start(classes, views)
    hit = np.zeros(evidence.shape[:2])
    hit[np.arange(len(truth)), truth] = 1.0

    def loss(numbers: Floats) -> tuple[float, Floats]:
        scores = evidence @ numbers[:views] + numbers[views:]
        total = logsumexp(scores, axis=1)
        wrong = np.exp(scores - total[:, None]) - hit
        away = numbers - start
        value = float((total - (scores * hit).sum(axis=1)).mean() + _RIDGE * (away**2).sum())
        gradient = np.concatenate([np.einsum("nk,nkv->v", wrong, evidence), wrong.sum(axis=0)]) / len(truth)
        return value, gradient + 2 * _RIDGE * away

    return loss


def _fit(evidence: Floats, truth: NDArray[np.int64]) -> Floats:
    """The weights of the views, then the biases of the classes.

    A class that ``truth`` does not show keeps its bias of 0 and has no part in the fit: else all would be learned
    against it, and whoever is alone in showing a class would be told of none.
    """
    classes, views = evidence.shape[1:]
    there, numbered = np.unique(truth, return_inverse=True)
    bounds = [(0.0, None)] * views + [(None, None)] * len(there)
    loss = loss_of(evidence[:, there], numbered.astype(np.int64))
    best = minimize(loss, _start(len(there), views), jac=True, method="L-BFGS-B", bounds=bounds).x
    found = _start(classes, views)
    found[:views], found[views + there] = best[:views], best[views:]
    return found


def _start(classes: int, views: int) -> Floats:
    """Every view as it is."""
    return np.concatenate([np.ones(views), np.zeros(classes)])


def _apply(numbers: Floats, evidence: Floats) -> Floats:
    views = evidence.shape[-1]
    scores = evidence @ numbers[:views] + numbers[views:]
    shares: Floats = np.exp(scores - logsumexp(scores, axis=1, keepdims=True))
    return shares
