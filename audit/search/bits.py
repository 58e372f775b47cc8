"""Which events of a chunk: as a whole number with a bit for each, and as the bytes that the index keeps.

Position 0 is the lowest bit. A chunk holds 65,536 events; event 1 has position 1 of chunk 0.
"""

import zlib
from array import array
from collections.abc import Iterable, Iterator

CHUNK = 1 << 16
_BYTES = CHUNK // 8
#: Up to so many positions are kept one by one, two bytes each.
_FEW = 64
_LIST, _WHOLE, _PACKED = b"l", b"w", b"p"

ALL = (1 << CHUNK) - 1


def place(sequence: int) -> tuple[int, int]:
    """Chunk and position of an event."""
    return sequence >> 16, sequence & (CHUNK - 1)


def from_positions(positions: Iterable[int]) -> int:
    held = bytearray(_BYTES)
    for position in positions:
        held[position >> 3] |= 1 << (position & 7)
    return int.from_bytes(held, "little")


def between(first: int, last: int) -> int:
    """The positions `first` to `last`, both included; none where `last` is less."""
    return ((1 << (last + 1)) - 1) >> first << first if first <= last else 0


def newest_first(bits: int) -> Iterator[int]:
    while bits:
        position = bits.bit_length() - 1
        yield position
        bits ^= 1 << position


def oldest_first(bits: int) -> Iterator[int]:
    while bits:
        lowest = bits & -bits
        yield lowest.bit_length() - 1
        bits ^= lowest


def pack(bits: int) -> bytes:
    if bits.bit_count() <= _FEW:
        return _LIST + array("H", oldest_first(bits)).tobytes()
    whole = bits.to_bytes(_BYTES, "little")
    packed = zlib.compress(whole, 1)
    return _PACKED + packed if len(packed) < _BYTES * 3 // 4 else _WHOLE + whole


def pack_positions(positions: list[int]) -> bytes:
    """The same from a list of positions in order, in which one may stand twice."""
    if len(positions) <= _FEW:
        return _LIST + array("H", sorted(set(positions))).tobytes()
    return pack(from_positions(positions))


def unpack(stored: bytes) -> int:
    kind, held = stored[:1], stored[1:]
    if kind == _LIST:
        return from_positions(array("H", bytes(held)))
    return int.from_bytes(held if kind == _WHOLE else zlib.decompress(held), "little")
