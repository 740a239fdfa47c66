"""A plan in a file, mapped: all processes that map it share its memory.

Rule: the file is opened, mapped and closed; the memory lives as long as the array. (Python's own `mmap` keeps
a descriptor for each mapping before 3.13, and a process that serves thousands of models has not that many.)
"""

from __future__ import annotations

import ctypes
import mmap
import os
from pathlib import Path
from typing import Any

import numpy as np

from sagestead.forest.layout import Words

_C = ctypes.CDLL(None, use_errno=True)
_MMAP = _C.mmap
_MMAP.restype = ctypes.c_void_p
_MMAP.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_longlong]
_MUNMAP = _C.munmap
_MUNMAP.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
_FAILED = ctypes.c_void_p(-1).value
_WORD = 4


def map_words(path: Path, words: int) -> Words:
    """Return the content of a file of exactly so many words, read-only.

    Raises:
        OSError: it has another size, or cannot be opened or mapped.
    """
    size = words * _WORD
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        if os.fstat(descriptor).st_size != size:
            raise OSError(f"{path.name} has not {size} bytes")
        return np.asarray(_Mapping(descriptor, words))
    finally:
        os.close(descriptor)


class _Mapping:
    """Mapped words, as NumPy's array interface offers them; the array that is made of them keeps them."""

    __slots__ = ("_address", "_words")

    def __init__(self, descriptor: int, words: int) -> None:
        self._words = words
        self._address = _MMAP(None, words * _WORD, mmap.PROT_READ, mmap.MAP_SHARED, descriptor, 0)
        if self._address == _FAILED:
            self._address = None
            code = ctypes.get_errno()
            raise OSError(code, f"{os.strerror(code)} (mmap)")

    @property
    def __array_interface__(self) -> dict[str, Any]:
        return {"version": 3, "shape": (self._words,), "typestr": "=u4", "data": (self._address, True)}

    def __del__(self) -> None:
        if self._address is not None:
            _MUNMAP(self._address, self._words * _WORD)
