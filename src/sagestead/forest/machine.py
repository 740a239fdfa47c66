"""What the kernels share: how they are compiled, and the few things of the machine that Numba does not show.

Rule: as in `kernels`, importing this module needs Numba, so only kernels import it. Addresses are unsigned
words. Whoever reads a byte at one knows that it is there: the content of a `bytes` object ends with a zero.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, TypeAlias, TypeVar, cast

import numba as nb
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

_Function = TypeVar("_Function", bound=Callable[..., Any])
Number: TypeAlias = Any
"""A machine number; Numba infers which."""

BLOCK = 64
BYTES = types.Bytes(types.uint8, 1, "C", readonly=True)
several: Any = types.Tuple
"""The type of several values that a function returns."""
_OPTIONS: dict[str, Any] = {"nogil": True, "boundscheck": False, "error_model": "numpy"}


def inner(function: _Function) -> _Function:
    """Compile a function when a compiled one calls it."""
    return cast("_Function", nb.njit(**_OPTIONS)(function))


def inlined(function: _Function) -> _Function:
    """Compile a function into every place that calls it: what it returns then stays in registers."""
    return cast("_Function", nb.njit(forceinline=True, **_OPTIONS)(function))


def entry(signature: object) -> Callable[[_Function], _Function]:
    """Compile a function that Python calls, now, or read its machine code from the cache."""

    def compiled(function: _Function) -> _Function:
        return cast("_Function", nb.njit(signature, cache=True, **_OPTIONS)(function))

    return compiled


def _address_of(_typing: Any, content: Any) -> Any:  # noqa: ANN401 - Numba's own types
    """Return where the bytes of a `bytes` object begin."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:  # noqa: ANN401 - the same
        (kind,) = signature.args
        array = context.make_array(kind)(context, builder, arguments[0])
        return builder.ptrtoint(array.data, context.get_value_type(types.uintp))

    return types.uintp(content), generate


def _byte_at(_typing: Any, _address: Any) -> Any:  # noqa: ANN401 - Numba's own types
    """Return the byte at an address, as a word."""

    def generate(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:  # noqa: ANN401 - the same
        pointer = builder.inttoptr(arguments[0], context.get_value_type(types.uint8).as_pointer())
        return builder.zext(builder.load(pointer), context.get_value_type(types.uintp))

    return types.uintp(types.uintp), generate


def _word_at(_typing: Any, _address: Any) -> Any:  # noqa: ANN401 - Numba's own types
    """Return the eight bytes at an address as a word, the first one lowest."""

    def generate(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:  # noqa: ANN401 - the same
        word = context.get_value_type(types.uint64)
        loaded = builder.load(builder.inttoptr(arguments[0], word.as_pointer()), align=1)
        return loaded if sys.byteorder == "little" else builder.bswap(loaded)

    return types.uint64(types.uintp), generate


def _trailing_zeros(_typing: Any, _word: Any) -> Any:  # noqa: ANN401 - Numba's own types
    """Return how many bits below its lowest 1 a word has; 64 when it is 0."""

    def generate(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:  # noqa: ANN401 - the same
        return builder.cttz(arguments[0], context.get_value_type(types.boolean)(0))

    return types.uint64(types.uint64), generate


def _either_in_block(_typing: Any, _address: Any, _one: Any, _other: Any) -> Any:  # noqa: ANN401 - Numba's own types
    """Return which of the 64 bytes at an address, a multiple of 64, equal one of two, the first one lowest.

    One of them must be there: what belongs to others, in the same page, can be looked at.
    """

    def generate(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:  # noqa: ANN401 - the same
        byte, place = context.get_value_type(types.uint8), context.get_value_type(types.int32)
        block = ir.VectorType(byte, BLOCK)
        loaded = builder.load(builder.inttoptr(arguments[0], block.as_pointer()), align=BLOCK)
        empty, first = ir.Constant(block, ir.Undefined), ir.Constant(ir.VectorType(place, BLOCK), None)
        equal = [
            builder.icmp_unsigned(
                "==",
                loaded,
                builder.shuffle_vector(
                    builder.insert_element(empty, builder.trunc(each, byte), place(0)), empty, first
                ),
            )
            for each in arguments[1:]
        ]
        word = context.get_value_type(types.uint64)
        found = builder.bitcast(builder.or_(*equal), word)
        return found if sys.byteorder == "little" else builder.bitreverse(found)

    return types.uint64(types.uintp, types.uintp, types.uintp), generate


def _high_product(_typing: Any, _one: Any, _other: Any) -> Any:  # noqa: ANN401 - Numba's own types
    """Return the upper 64 bits of the product of two words."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:  # noqa: ANN401 - the same
        word = context.get_value_type(signature.return_type)
        double = type(word)(2 * word.width)
        one, other = (builder.zext(each, double) for each in arguments)
        return builder.trunc(builder.lshr(builder.mul(one, other), double(word.width)), word)

    return types.uint64(types.uint64, types.uint64), generate


address_of: Any = intrinsic(_address_of)
byte_at: Any = intrinsic(_byte_at)
word_at: Any = intrinsic(_word_at)
trailing_zeros: Any = intrinsic(_trailing_zeros)
either_in_block: Any = intrinsic(_either_in_block)
high_product: Any = intrinsic(_high_product)
