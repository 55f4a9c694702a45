"""A tile through HookNet(0.5, 8.0): px/s step by step from training-size patches to what `auto` picks.

The weights are the same in all rows, and what each row computes is compared with the network as it is trained.
On a processor F = 16 and two threads, on a GPU the paper's F = 64.
"""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from benchmarks.networks import paper_network
from benchmarks.table import Table, growth, in_turn, ratio
from hooknet.inference import openvino_engine
from hooknet.inference.agreement import agreement
from hooknet.inference.engines import Engine, TorchEngine, Views, computing_in
from hooknet.inference.openvino_engine import OpenVinoEngine
from hooknet.models.network import Network
from hooknet.shapes.tiles import Tile

GPU = torch.cuda.is_available()
FILTERS = 64 if GPU else 16
THREADS = min(2, os.cpu_count() or 1)
ROUNDS = 3
OFFICIAL = Tile((1244, 1244), 1024)
TRAINING = Tile((284, 284), 70)


class Eager(TorchEngine):
    """Torch as it comes: eager, fp32, its usual order of numbers."""

    def __init__(self, network: Network, tile: Tile, logits_of: Callable[[list[Tensor]], Tensor]) -> None:
        """``logits_of``: patches -> logits (1, K, m, m)."""
        super().__init__(network, tile, False, "fp32")
        self._logits_of = logits_of

    @torch.inference_mode()
    def _run(self, views: Views) -> tuple[Tensor, ...]:
        inputs = [torch.from_numpy(view).to(self._device) for view in views]
        patches = [one.permute(2, 0, 1)[None].float().contiguous() / 255 for one in inputs]
        with computing_in(self.precision, self._device):
            logits = self._logits_of(patches)[0]
        margin = (logits.shape[-1] - self.tile.stride) // 2
        kept = logits[:, margin : margin + self.tile.stride, margin : margin + self.tile.stride]
        return kept.argmax(dim=0).to(torch.uint8) + 1, kept


def engines() -> list[tuple[str, Engine]]:
    """The rows, from the plain way on."""
    plain = paper_network(FILTERS).to("cuda" if GPU else "cpu")
    fast = paper_network(FILTERS).to("cuda" if GPU else "cpu", memory_format=torch.channels_last)  # type: ignore[call-overload]
    shape = plain.shape
    shared, large = shape.tile(1244), shape.tile(2268)

    def pairs(patches: list[Tensor]) -> Tensor:
        """Both outputs, as training computes them."""
        logits: Tensor = plain(patches)[0]
        return logits

    found: list[tuple[str, Engine]] = [
        ("(a) training-size pairs of 284 px", Eager(plain, TRAINING, pairs)),
        ("(b) official setting: pairs of 1244 px, stride 1024", Eager(plain, OFFICIAL, pairs)),
        ("one context of 284 px for a tile of 1244 px", Eager(plain, shared, plain.target_logits)),
        ("+ channels last", TorchEngine(fast, shared, False, "fp32")),
        ("+ tile of 2268 px, context of 348 px", TorchEngine(fast, large, False, "fp32")),
    ]
    if GPU:
        found.append(("+ bf16", TorchEngine(fast, large, False, "bf16")))
    elif openvino_engine.is_installed():
        found.append(("OpenVINO, tile of 1244 px", OpenVinoEngine(plain, shared, False, "fp32", THREADS)))
        found.append(("OpenVINO, tile of 2268 px", OpenVinoEngine(plain, large, False, "fp32", THREADS)))
        if openvino_engine.has_bf16():
            found.append(("+ bf16", OpenVinoEngine(plain, large, False, "bf16", THREADS)))
    return found


def views_of(tile: Tile) -> list[np.ndarray]:
    """Patches of smooth noise, as tissue more than as snow."""
    rng = np.random.default_rng(1)
    return [
        np.kron(rng.integers(60, 250, (-(-size // 8), -(-size // 8), 3)), np.ones((8, 8, 1)))[
            :size, :size
        ].astype(np.uint8)
        for size in tile.sizes
    ]


def seconds(engine: Engine, views: list[np.ndarray]) -> Callable[[], float]:
    """What measures a tile; a few where they are small."""
    times = max(1, round((300 / engine.tile.sizes[0]) ** 2 * 10))

    def measure() -> float:
        start = time.perf_counter()
        for _ in range(times):
            engine.start(views)()
        return (time.perf_counter() - start) / times

    measure()
    return measure


def matmul_gmac() -> float:
    """Multiply-accumulates (10^9) a second of a large matrix product, in the fastest precision there is."""
    dtype, device = (torch.bfloat16, "cuda") if GPU else (torch.float32, "cpu")
    side = 8192 if GPU else 2048
    a, b = (torch.rand(side, side, dtype=dtype, device=device) for _ in range(2))
    best = float("inf")
    for _ in range(5):
        start = time.perf_counter()
        (a @ b)[0, 0].item()
        best = min(best, time.perf_counter() - start)
    return side**3 / best / 1e9


def main() -> None:
    """Print the steps, and how time grows with a tile."""
    torch.set_num_threads(THREADS)
    with tempfile.TemporaryDirectory() as folder:
        os.environ["HOOKNET_CACHE"] = folder
        _steps()
        _growth()
        _rims()


def _steps() -> None:
    found = engines()
    network, paper = paper_network(FILTERS).to("cuda" if GPU else "cpu"), paper_network(64).shape
    views = {engine.tile: views_of(engine.tile) for _, engine in found}
    peak = matmul_gmac()
    times = in_turn(ROUNDS, *(seconds(engine, views[engine.tile]) for _, engine in found))
    rates = [
        [engine.tile.stride**2 / one for one in taken]
        for (_, engine), taken in zip(found, times, strict=True)
    ]
    rows = []
    for number, (name, engine) in enumerate(found):
        tile, pairs = engine.tile, number < 2
        work, at_64 = (
            (of.multiply_accumulates(tile.sizes[0]) if pairs else of.tile_work(tile)) / tile.stride**2
            for of in (network.shape, paper)
        )
        rate = statistics.median(rates[number])
        same = None if pairs else agreement(network, engine, views[tile])
        rows.append(
            (
                name,
                rate / 1e3,
                f"{ratio(rates[number], rates[0]):.1f}x",
                f"{ratio(rates[number], rates[1]):.1f}x",
                at_64 / 1e3,
                f"{rate * work / 1e9 / peak:.0%}",
                "" if same is None else f"{same.difference:.0e}",
                "" if same is None else f"{same.share:.3%}",
            )
        )
    columns = ("", "kpx/s", "to (a)", "to (b)", "kMAC/px at F = 64", "of peak", "difference", "same class")
    where = torch.cuda.get_device_name() if GPU else f"{THREADS} threads"
    notes = (
        f"Peak: {peak:,.0f} GMAC/s, a matrix product in {'bf16' if GPU else 'fp32'}. The difference is the largest "
        "of a probability to the network in fp32 torch.",
    )
    print(
        Table(
            f"HookNet(0.5, 8.0), F = {FILTERS}, batch 1, {where}: px of the map a second",
            columns,
            rows,
            notes,
        )
    )


def _growth() -> None:
    """Time per tile at 1/16, 1/4 and 1 of its px."""
    network = paper_network(FILTERS).to("cuda" if GPU else "cpu")
    rows, sizes, taken = [], [], []
    for stride in (512, 1024, 2048):
        tile = next(one for one in network.shape.tiles() if one.stride == stride)
        engine: Engine = (
            TorchEngine(network, tile, False, "bf16")
            if GPU or not openvino_engine.is_installed()
            else OpenVinoEngine(network, tile, False, "fp32", THREADS)
        )
        measure = seconds(engine, views_of(tile))
        sizes.append(stride**2)
        taken.append(min(measure() for _ in range(ROUNDS)))
        rows.append((f"stride {stride} px", sizes[-1], taken[-1], taken[-1] / sizes[-1] * 1e9))
    rows.append(("growth of time", "", f"size^{growth(sizes, taken):.2f}", ""))
    print(Table("A tile's time by its size", ("", "px", "s", "ns/px"), rows))


def _rims() -> None:
    """What a smaller rim of an MRN's tile saves, and how much its seams show."""
    network, rows = paper_network(8, "mrn"), []
    shape, wide = network.shape, network.shape.tile(1600)
    views = views_of(wide)
    full = shape.tile(1024)
    for rim in (shape.rim, 64, 32, 0):
        tile = next(one for one in shape.tiles(rim) if one.stride == full.stride)
        parts = [_middle(view, size) for view, size in zip(views, tile.sizes, strict=True)]
        wanted = TorchEngine(network, Tile(wide.sizes, tile.stride), False, "fp32").start(
            views, logits=True
        )()
        found = TorchEngine(network, tile, False, "fp32").start(parts, logits=True)()
        assert wanted.logits is not None
        assert found.logits is not None
        apart = np.abs(_shares(wanted.logits) - _shares(found.logits)).max(axis=0)
        border = np.ones(apart.shape, bool)
        border[16:-16, 16:-16] = False
        work = shape.work_per_pixel(tile) / shape.work_per_pixel(full)
        differs = (found.labels != wanted.labels).mean()
        rows.append(
            (f"{rim} px", tile.sizes[0], f"{work:.0%}", apart.max(), apart[border].mean(), f"{differs:.4%}")
        )
    columns = (
        "rim dropped",
        "view, px",
        "work",
        "largest difference",
        "mean in the outer 16 px",
        "other class",
    )
    print(Table(f"MRN(0.5, 8.0), F = 8, {full.stride} px kept of a tile: its seams", columns, rows))


def _middle(image: np.ndarray, size: int) -> np.ndarray:
    start = (len(image) - size) // 2
    return np.ascontiguousarray(image[start : start + size, start : start + size])


def _shares(logits: np.ndarray) -> np.ndarray:
    return torch.from_numpy(logits).softmax(0).numpy()
