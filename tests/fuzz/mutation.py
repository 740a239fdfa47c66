"""Inputs by chance: good ones, damaged in a few places. The same name and number give the same input."""

from __future__ import annotations

import random
from collections.abc import Sequence
from zlib import crc32

from tests.fuzz.target import Target

_ODD = (
    b"",
    b"\0",
    b"\xff",
    b"\x7f",
    b"\x80",
    b"\xff\xff\xff\xff",
    b"\0\0\0\x80",
    b"\xff\xff\xff\x7f",
    b"\r\n",
    b"\n",
    b"0",
    b"-1",
    b"9" * 20,
    b"1e400",
    b"\xc3\xa9",
    b"\xed\xa0\x80",
    b"%",
    b'"',
)
_LONGEST_PIECE = 64


class Inputs:
    """The inputs of one target."""

    def __init__(self, name: str, target: Target) -> None:
        self._name = crc32(name.encode()) << 32
        self._seeds: Sequence[bytes] = sorted(target.seeds(), key=len)
        self._parts = (*_ODD, *target.parts)

    def seeds(self) -> Sequence[bytes]:
        """Return the good inputs."""
        return self._seeds

    def number(self, number: int) -> bytes:
        """Return an input; the first ones are the good ones."""
        if number < len(self._seeds):
            return self._seeds[number]
        chance = random.Random(self._name | number)  # noqa: S311 - the same damage in every run
        # The smaller of two, so that large inputs, which take long, come seldom.
        seed = self._seeds[min(chance.randrange(len(self._seeds)), chance.randrange(len(self._seeds)))]
        data = bytearray(seed)
        for _ in range(chance.choice((1, 1, 2, 2, 3, 4, 8))):
            self._damage(data, chance)
        return bytes(data)

    def _damage(self, data: bytearray, chance: random.Random) -> None:
        at = chance.randrange(len(data) + 1)
        size = chance.randint(1, _LONGEST_PIECE if chance.random() < 0.3 else 4)
        match chance.randrange(8):
            case 0:
                data[at : at + 1] = bytes([chance.randrange(256)])
            case 1:
                odd = chance.choice(self._parts)
                data[at : at + len(odd)] = odd
            case 2:
                data[at:at] = chance.choice(self._parts)
            case 3:
                del data[at : at + size]
            case 4:
                data[at:at] = data[at : at + size]
            case 5:
                other = chance.choice(self._seeds)
                begin = chance.randrange(len(other) + 1)
                data[at : at + size] = other[begin : begin + size]
            case 6:
                if at < len(data):
                    data[at] ^= 1 << chance.randrange(8)
            case _:
                del data[at if chance.random() < 0.2 else len(data) - size :]
