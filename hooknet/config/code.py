"""Which code a step's results depend on: a fingerprint of the modules behind its command.

A rule carries it beside the digest of its settings, so that a change in the package repeats what it may change, and
nothing else.  What counts is the code itself, and files that lie beside it: comments, docstrings and layout do not.
Modules of settings (``hooknet.config``) are left out, since rules carry the values; so are the options of commands
and the errors.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import CodeType

PACKAGE = Path(__file__).resolve().parent.parent
_LEFT_OUT = ("hooknet.config", "hooknet.errors", "hooknet.cli.options")


@cache
def code_of(command: str, package: Path = PACKAGE) -> str:
    """The fingerprint of a command (``train``, ``make-splits``); KeyError where there is none of that name."""
    start = f"{package.name}.cli.{command.replace('-', '_')}"
    if _file_of(start, package) is None:
        raise KeyError(command)
    digest, modules = hashlib.sha256(), sorted(reached(start, package))
    for module in modules:
        digest.update(_meaning(module, package)[0])
    for folder in sorted({_file(one, package).parent for one in modules} - {package}):
        digest.update(_data(folder))
    return digest.hexdigest()[:16]


def reached(start: str, package: Path = PACKAGE) -> set[str]:
    """The modules that a module imports, at its top or inside functions, and those that they do; itself too."""
    found: set[str] = set()
    waiting = [start]
    while waiting:
        module = waiting.pop()
        if module not in found:
            found.add(module)
            waiting += _meaning(module, package)[1]
    return found


@cache
def _meaning(module: str, package: Path) -> tuple[bytes, tuple[str, ...]]:
    """What a module does, digested; the modules of the package that it imports."""
    file = _file(module, package)
    # Compiled, which is faster than to compare trees; 2: without docstrings.
    code = compile(file.read_bytes(), module, "exec", dont_inherit=True, optimize=2)
    digest, imports = hashlib.sha256(module.encode()), []
    for part in _parts(code):
        constants = [_in_order(one) for one in part.co_consts if not isinstance(one, CodeType)]
        names = (part.co_names, part.co_varnames, part.co_freevars, part.co_cellvars)
        digest.update(repr((part.co_qualname, part.co_flags, part.co_code, constants, names)).encode())
        # `from hooknet.io import masks` names a module, `from hooknet.io.masks import Mask` does not.
        from_package = [one for one in part.co_names if _file_of(one, package) is not None]
        imports += from_package
        imports += [f"{one}.{name}" for one in from_package for name in part.co_names if name.isidentifier()]
    found = (one for one in dict.fromkeys(imports) if _file_of(one, package) is not None)
    return digest.digest(), tuple(one for one in found if not one.startswith(_LEFT_OUT))


def _parts(code: CodeType) -> Iterator[CodeType]:
    """The code of a module and, in their order, of its classes and functions."""
    yield code
    for one in code.co_consts:
        if isinstance(one, CodeType):
            yield from _parts(one)


def _in_order(constant: object) -> object:
    """Of a set, whose order is another in each process, the members sorted."""
    return sorted(map(repr, constant)) if isinstance(constant, frozenset) else constant


@cache
def _data(folder: Path) -> bytes:
    """What lies beside the code of a folder and is no code: templates, scripts of pages."""
    digest = hashlib.sha256()
    for file in sorted(folder.rglob("*")):
        if file.is_file() and file.suffix not in (".py", ".pyc"):
            digest.update(str(file.relative_to(folder)).encode() + file.read_bytes())
    return digest.digest()


def _file(module: str, package: Path) -> Path:
    found = _file_of(module, package)
    assert found is not None, module
    return found


@cache
def _file_of(module: str, package: Path) -> Path | None:
    """The file of a module of the package; None for all others."""
    if module.split(".")[0] != package.name:
        return None
    path = package.parent.joinpath(*module.split("."))
    return next((one for one in (path.with_suffix(".py"), path / "__init__.py") if one.is_file()), None)
