"""What computes probabilities of whole inputs, patches in batches or a slide at low power: torch or OpenVINO.

As with the engines of tiles, which one computes shows in speed only: one that does not agree with torch in fp32 on
real inputs is not used (:func:`choose_predictor`).
"""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from hooknet.config.experiment import EngineOptions, Precision
from hooknet.inference.agreement import Agreement
from hooknet.inference.choice import Candidate, first_that_agrees, kinds
from hooknet.inference.engines import computing_in
from hooknet.inference.memory import noticing_out_of_memory
from hooknet.inference.openvino_engine import Wish, compiled

Inputs = Sequence[NDArray[np.uint8]]
Shares = NDArray[np.float32]


class PatchProbabilities(nn.Module):
    """A patch classifier from patches as they are read, (B, S, S, 3) uint8, to probabilities (B, K)."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, patches: Tensor) -> Tensor:
        """Probabilities (B, K) float32."""
        logits: Tensor = self.network(_floats(patches.permute(0, 3, 1, 2)))
        return logits.float().softmax(1)


class SlideProbabilities(nn.Module):
    """A refiner from a slide (1, N, N, 3) and its heat maps (1, C, N, N), both uint8, to probabilities (1, K, N, N).

    Without heat maps (C = 0) it takes the slide alone.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor, *heat: Tensor) -> Tensor:
        """Probabilities (1, K, N, N) float32."""
        channels = torch.cat([image.permute(0, 3, 1, 2), *heat], dim=1)
        logits: Tensor = self.network(_floats(channels))[0]  # the output that is used; others train
        return logits.float().softmax(1)


def _floats(images: Tensor) -> Tensor:
    """Bytes (B, C, H, W) as 0..1."""
    return (images.float() / 255).contiguous(memory_format=torch.channels_last)


class Predictor(ABC):
    """Computes probabilities.  ``name`` and ``precision`` say how.

    ``ahead``: so many inputs may be started before the result of the first is asked for.
    """

    def __init__(self, name: str, precision: Precision, ahead: int) -> None:
        self.name = name
        self.precision = precision
        self.ahead = ahead

    @abstractmethod
    def start(self, inputs: Inputs) -> Callable[[], Shares]:
        """Begin; what comes back waits for the end and gives probabilities with classes in axis 1.

        OutOfMemory from either call.
        """


class TorchPredictor(Predictor):
    """Torch on the module's device."""

    def __init__(self, module: nn.Module, precision: Precision) -> None:
        self._module = module.eval()
        self._device = next(module.parameters()).device
        super().__init__(f"torch on {self._device.type}", precision, 2)

    def start(self, inputs: Inputs) -> Callable[[], Shares]:
        """Begin; on a GPU this does not wait."""
        with noticing_out_of_memory():
            found = self._run(inputs)

        def result() -> Shares:
            with noticing_out_of_memory():
                return found.cpu().numpy()

        return result

    @torch.inference_mode()
    def _run(self, inputs: Inputs) -> Tensor:
        tensors = [torch.from_numpy(one).to(self._device) for one in inputs]
        with computing_in(self.precision, self._device):
            found: Tensor = self._module(*tensors)
        return found.float()


class OpenVinoPredictor(Predictor):
    """A module compiled for inputs of one size; a smaller batch is filled up."""

    def __init__(self, module: nn.Module, examples: Inputs, told: tuple[object, ...], wish: Wish) -> None:
        """``examples``: inputs of that size; ``told``: what the module computes besides its weights."""
        # Two requests a stream: the next one waits where the one before it ends, not for who asks for results.
        requests = 1 if wish.streams == 1 else 2 * wish.streams
        super().__init__("OpenVINO", wish.precision, requests)
        self._batch = len(examples[0])
        with noticing_out_of_memory():
            model = compiled(module, [torch.from_numpy(one) for one in examples], told, wish)
            self._requests = [model.create_infer_request() for _ in range(requests)]
        self._started = 0

    def start(self, inputs: Inputs) -> Callable[[], Shares]:
        """Begin in the background."""
        count = len(inputs[0])
        full = [_filled_up(one, self._batch) for one in inputs]
        request = self._requests[self._started % len(self._requests)]
        self._started += 1
        with noticing_out_of_memory():
            request.start_async(full, share_inputs=True)

        def result() -> Shares:
            with noticing_out_of_memory():
                request.wait()
            assert full  # whose memory the request reads until it is done
            found: Shares = np.array(request.get_output_tensor(0).data[:count])  # the next one overwrites it
            return found

        return result


def _filled_up(batch: NDArray[np.uint8], count: int) -> NDArray[np.uint8]:
    """A batch with zeros behind it, if it has fewer than ``count``."""
    if len(batch) == count:
        return np.ascontiguousarray(batch)
    filled = np.zeros((count, *batch.shape[1:]), batch.dtype)
    filled[: len(batch)] = batch
    return filled


@dataclass(frozen=True)
class Work:
    """What a predictor is chosen for: a ``module``, what it computes besides its weights (``told``), how often.

    ``threads``: processor cores to use, in ``streams`` that compute side by side.
    """

    module: nn.Module
    told: tuple[object, ...]
    calls: int
    threads: int
    streams: int = 1


def choose_predictor(work: Work, options: EngineOptions, examples: Inputs, on: str) -> Predictor:
    """The first predictor that agrees with torch in fp32 on real inputs of full size; ``on`` calls them in messages.

    CheckpointError where none does, or where what is asked for cannot be.
    """
    module = work.module.eval()

    def compare(predictor: Predictor) -> Agreement:
        wanted = TorchPredictor(module, "fp32").start(examples)()
        return agreement_of(predictor.start(examples)(), wanted)

    def found() -> Iterator[Candidate[Predictor]]:
        device = next(module.parameters()).device
        for name, precision in kinds(device, work.calls * multiply_accumulates(module, examples), options):
            wish = Wish(precision, work.threads, work.streams)
            make: Callable[[], Predictor] = partial(OpenVinoPredictor, module, examples, work.told, wish)
            if name == "torch":
                make = partial(TorchPredictor, module, precision)
            yield Candidate(name, precision, make)

    return first_that_agrees(found(), compare, options, on)


def agreement_of(found: Shares, wanted: Shares) -> Agreement:
    """How probabilities (classes in axis 1) agree with those that are wanted."""
    difference = float(np.abs(found - wanted).max())
    return Agreement(difference, float((found.argmax(axis=1) == wanted.argmax(axis=1)).mean()))


def multiply_accumulates(module: nn.Module, inputs: Inputs) -> float:
    """Of convolutions and matrix products, for these inputs; nothing is computed."""
    empty: Any = copy.deepcopy(module).to("meta")
    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        empty(*(torch.empty(one.shape, dtype=torch.uint8, device="meta") for one in inputs))
    return float(counter.get_total_flops()) / 2
