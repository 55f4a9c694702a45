"""HDF5 files as Keras 2 writes them: opened with care, as they may come from anywhere."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from hooknet.errors import CheckpointError

INSTALL: Final = "pip install -c constraints.txt -e '.[keras]'"
# model/layer/layer/part and a few name scopes; a file that nests deeper is none of Keras.
DEEPEST: Final = 8
_HDF5: Final = b"\x89HDF\r\n\x1a\n"


@contextlib.contextmanager
def opened(path: Path) -> Iterator[Any]:
    """The open HDF5 file; CheckpointError where it is none, or while it is read."""
    if not path.is_file():
        raise CheckpointError(f"{path}: no such file, wanted Keras weights (.h5)")
    try:
        import h5py
    except ImportError:
        raise CheckpointError(
            f"{path}: reading Keras weights needs h5py, which is missing; {INSTALL}"
        ) from None
    with path.open("rb") as start:
        if start.read(len(_HDF5)) != _HDF5:
            raise CheckpointError(
                f"{path}: not an HDF5 file, wanted the .h5 that Keras 2 writes; save the weights with "
                "model.save_weights('weights.h5')"
            )
    try:
        with h5py.File(path, "r", locking="best-effort") as file:
            yield file
    except CheckpointError:
        raise
    except (OSError, RuntimeError, ValueError, KeyError) as error:  # whatever HDF5 makes of a damaged file
        reason = " ".join(str(error).split())[:100]
        raise CheckpointError(f"{path}: damaged ({reason}); copy or download it again") from None


def weights_group(path: Path, file: Any) -> Any:
    """The group that holds the layers; CheckpointError for a file of another layout."""
    if "model_weights" in file:
        group = _member(path, file, "model_weights")
        if not isinstance(group, type(file["/"])):
            raise CheckpointError(
                f"{path}: /model_weights is no group, wanted one with the layers; get another copy"
            )
        return group
    if "layers" in file or "_layer_checkpoint_dependencies" in file:
        raise CheckpointError(
            f"{path}: the layout of Keras 3 (.weights.h5), wanted the older one with a group for each layer; "
            "save the weights with tf_keras, model.save_weights('weights.h5')"
        )
    return file


def _member(path: Path, group: Any, name: str) -> Any:
    """A group or tensor that lies in the file itself; CheckpointError for anything that leads elsewhere."""
    import h5py

    place = f"{group.name.rstrip('/')}/{name}"
    if not isinstance(group.get(name, getlink=True), h5py.HardLink):
        raise CheckpointError(f"{path}: {place} is a link, wanted the data itself; no link is followed")
    member = group[name]
    if isinstance(member, h5py.Dataset) and (member.is_virtual or member.external):
        raise CheckpointError(f"{path}: {place} has its data in another file, wanted them in this one")
    return member


def tensors(path: Path, group: Any) -> Iterator[Any]:
    """Every tensor below a group; CheckpointError for links, and for groups without end."""
    return _tensors(path, group, set(), 0)


def _tensors(path: Path, group: Any, seen: set[int], depth: int) -> Iterator[Any]:
    import h5py

    for name in group:
        member = _member(path, group, name)
        if isinstance(member, h5py.Dataset):
            yield member
            continue
        if not isinstance(member, h5py.Group):
            continue
        address = h5py.h5o.get_info(member.id).addr
        if address in seen or depth == DEEPEST:
            raise CheckpointError(
                f"{path}: {member.name} is reached twice or too deep; wanted a file of Keras"
            )
        seen.add(address)
        yield from _tensors(path, member, seen, depth + 1)
