"""Valid documents made wrong in small ways: bytes, and trees of mappings, lists and values."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

#: What stands where something else is expected.
ODD: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 2, 3, 255, 256, 2**31, 2**63, -(2**63), 10**30, 10**400, 0.5, -0.0, 1e-320, 1e300,
    float("nan"), float("inf"), "", " ", "-", "nan", "inf", "1e400", "1,5", "0x10", "1_000", "yes", "None", "{id}",
    "{", "{}", "../x", "/", ".", "a\0b", "a\nb", "a\x1b[31m", "\ud800", "\u2028", "ä", "😀", "x" * 5000, "9" * 5000,
    "$(touch x)", "#ff0000", [], {}, [[]], [None], [1, 2, 3], [0] * 2000, {"a": 1}, {"": None}, {"id": "a"},
    {"name": "a"},
)  # fmt: skip
#: What the formats are made of.
WORDS = (
    b"<", b"/>", b"</", b'"', b"'", b"&", b"&#0;", b"&#10;", b"&lt;", b"<!--", b"]]>", b"<![CDATA[",
    b"<?xml version='1.0'?>", b"<!DOCTYPE a [<!ENTITY b 'c'>]>", b'encoding="utf-16"', b"{", b"}", b"[", b"]", b",",
    b":", b": ", b"\n", b"\n  ", b"\t", b"- ", b"? ", b"|", b">-", b"&a ", b"*a", b"<<: ", b"!!binary ", b"!!set ",
    b"!!omap ", b"!!timestamp ", b"!!float ", b"!!python/tuple ", b"%YAML 9.9\n", b"---\n", b"...\n", b"#", b"~",
    b"null", b"true", b"NaN", b"-Infinity", b"1e999", b"0b_", b"0o9", b"2001-13-45", b"1:99", b"\0", b"\xff",
    b"\xef\xbb\xbf", b"\xff\xfe", b"\xed\xa0\x80", b"\x85", b"\\ud800", b"\\u0000", b"9" * 400, b"[" * 300,
    b"{a: " * 100, b"<a>" * 300,
    # Of zip archives and pickles.
    b"PK\x03\x04", b"PK\x01\x02", b"PK\x05\x06", b"\x80\x02", b"cos\nsystem\n", b"R", b"\x85", b"Q", b"b", b"u",
    b"J\xff\xff\xff\x7f", b"\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7f", b"M\xff\xff", b"K\0", b"K\xff",
    b"r\xff\xff\xff\xff", b"h\0", b"ctorch._utils\n_rebuild_tensor_v2\n",
)  # fmt: skip

#: What is done, where (a share of 2^16), and with which piece.
EDIT = st.tuples(st.integers(0, 9), st.integers(0, 2**16 - 1), st.integers(0, 2**16 - 1))
EDITS: SearchStrategy[list[tuple[int, int, int]]] = st.lists(EDIT, min_size=1, max_size=6)


def edited_bytes(content: bytes, edits: Sequence[tuple[int, int, int]], other: bytes = b"") -> bytes:
    """The content after every edit; ``other`` is another valid one, of which parts are put in."""
    for what, where, piece in edits:
        place = where * len(content) // 2**16
        length = 1 + piece % 64
        if what == 0:
            content = content[:place]
        elif what == 1:
            content = content[:place] + bytes([piece % 256]) + content[place + 1 :]
        elif what == 2 and content:
            flipped = bytes([content[place] ^ 1 << piece % 8])
            content = content[:place] + flipped + content[place + 1 :]
        elif what == 3:
            content = content[:place] + content[place + length :]
        elif what == 4:
            content = content[:place] + content[place : place + length] + content[place:]
        elif what == 5:
            start = piece * len(other) // 2**16
            content = content[:place] + other[start : start + length * 8] + content[place + length * 8 :]
        else:
            content = content[:place] + WORDS[piece % len(WORDS)] + content[place + what % 2 :]
    return content


def edited_tree(
    tree: Any, edits: Sequence[tuple[int, int, int]], other: Any = None, odd: Sequence[Any] = ODD
) -> Any:
    """A copy of the tree after every edit; ``other`` is another valid tree, of which branches are put in."""
    box = [copy.deepcopy(tree)]
    for what, where, piece in edits:
        places = list(_places(box))
        holder, key = places[where % len(places)]
        value = holder[key]
        donors = list(_places([other] if piece % 2 and other is not None else box))
        donor, its_key = donors[piece // 2 % len(donors)]
        if what <= 3:
            holder[key] = copy.deepcopy(odd[piece % len(odd)])
        elif what == 4:
            holder[key] = copy.deepcopy(donor[its_key])
        elif what == 5 and holder is not box:
            del holder[key]
        elif what == 6 and isinstance(holder, dict):
            holder[str(its_key) if piece % 3 else str(odd[piece % len(odd)])] = holder.pop(key)
        elif what == 7 and isinstance(holder, list) and holder is not box:
            holder[key:key] = [copy.deepcopy(value) for _ in range(1 + piece % 3)]
        elif what == 8:
            holder[key] = _wrapped(value, piece)
        elif isinstance(value, int | float) and not isinstance(value, bool):
            holder[key] = (-value, value + 1, value * 1000, value // 3, repr(value)[:5000])[piece % 5]
        elif isinstance(value, str):
            holder[key] = (value + " ", value.upper(), value[1:], f"'{value}", value + "\0")[piece % 5]
    return box[0]


def _wrapped(value: Any, piece: int) -> Any:
    """The value deep in lists or mappings."""
    for _ in range((1, 1, 2, 60)[piece % 4]):
        value = [value] if piece % 3 else {"a": value}
    return value


def _places(tree: Any) -> Any:
    """(holder, key) of everything below, breadth first, as far as can be walked at once."""
    holders = [tree]
    for holder in holders:
        for key, value in holder.items() if isinstance(holder, dict) else enumerate(holder):
            yield holder, key
            if isinstance(value, dict | list) and len(holders) < 3000:
                holders.append(value)
