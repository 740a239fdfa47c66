"""The state of a pickled Booster, read without unpickling.

Rule: a machine of its own walks the opcodes and calls nothing that the file names. It knows the five names
that a pickled Booster is made of and what their calls would give; any other name, call or opcode is refused.
Work is bounded by the number of opcodes, memory by the size of the file.
"""

from __future__ import annotations

import enum
import itertools
import pickletools
from collections.abc import Callable, Iterator
from typing import Any

from sagestead.forest.documents import Malformed

OPCODES = 1_000_000


class Name(enum.Enum):
    """What a file may name."""

    BOOSTER = "xgboost.core.Booster"
    BYTES = "bytearray"
    ENCODE = "_codecs.encode"
    OBJECT = "object"
    RECONSTRUCT = "copyreg._reconstructor"


_NAMES = {
    ("xgboost.core", "Booster"): Name.BOOSTER,
    ("builtins", "bytearray"): Name.BYTES,
    ("__builtin__", "bytearray"): Name.BYTES,
    ("_codecs", "encode"): Name.ENCODE,
    ("builtins", "object"): Name.OBJECT,
    ("__builtin__", "object"): Name.OBJECT,
    ("copyreg", "_reconstructor"): Name.RECONSTRUCT,
    ("copy_reg", "_reconstructor"): Name.RECONSTRUCT,
}
_LATIN = ("latin-1", "latin1")
_MARK = object()


class _Booster:
    """A Booster that is being read."""

    def __init__(self) -> None:
        self.state: dict[str, Any] | None = None


def booster_state(content: bytes) -> dict[str, Any]:
    """Return the attributes of the Booster in a pickle; raise `Malformed`.

    Values are text, bytes, numbers, booleans, None, and lists, tuples and dicts of them. They may share or
    hold themselves, so a reader looks only as deep as it knows.
    """
    machine = _Machine(len(content))
    operations = itertools.islice(pickletools.genops(content), OPCODES)
    while (operation := _next(operations)) is not None:
        machine.step(*operation)
    found = machine.pop()
    if not isinstance(found, _Booster) or found.state is None:
        raise Malformed("its pickle does not hold a Booster")
    return found.state


def _next(operations: Iterator[tuple[Any, Any, Any]]) -> tuple[str, Any] | None:
    """Return the next opcode's name and argument; None at the end."""
    try:
        opcode, argument, _ = next(operations)
    except StopIteration:
        raise Malformed(f"its pickle has more than {OPCODES} opcodes") from None
    except Exception:  # noqa: BLE001 - pickletools raises whatever its decoders do; all mean the same
        raise Malformed("its pickle is cut off or malformed") from None
    return None if opcode.name == "STOP" else (opcode.name, argument)


class _Machine:
    """A stack and a memo, as the pickle protocol has them."""

    def __init__(self, size: int) -> None:
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}
        self.bytes_left = 2 * size + 64

    def step(self, name: str, argument: Any) -> None:  # noqa: ANN401 - what an opcode carries
        """Carry out one opcode."""
        if name in _PUSH_ARGUMENT:
            self.stack.append(argument)
        elif name in _PUSH:
            self.stack.append(_PUSH[name]())
        elif name in _STEPS:
            _STEPS[name](self, argument)
        elif name not in ("PROTO", "FRAME"):
            raise Malformed(f"its pickle uses {name}, which no pickled Booster does")

    def pop(self) -> Any:  # noqa: ANN401 - whatever was pushed
        """Take the top of the stack."""
        if not self.stack or self.stack[-1] is _MARK:
            raise Malformed("its pickle takes what it never gave")
        return self.stack.pop()

    def top(self, kind: type) -> Any:  # noqa: ANN401 - of the kind
        """Look at the top of the stack, which must be of a kind."""
        if not self.stack or type(self.stack[-1]) is not kind:
            raise Malformed("its pickle adds to what cannot be added to")
        return self.stack[-1]

    def since_mark(self) -> list[Any]:
        """Take everything above the last mark, and the mark."""
        for at in range(len(self.stack) - 1, -1, -1):
            if self.stack[at] is _MARK:
                found = self.stack[at + 1 :]
                del self.stack[at:]
                return found
        raise Malformed("its pickle has no mark where one is wanted")

    def last(self, count: int) -> tuple[Any, ...]:
        """Take the last values of the stack, in the order they were pushed."""
        return tuple(reversed([self.pop() for _ in range(count)]))

    def name(self, module: Any, name: Any) -> None:  # noqa: ANN401 - what the file claims
        """Push a known name."""
        found = _NAMES.get((module, name)) if isinstance(module, str) and isinstance(name, str) else None
        if found is None:
            raise Malformed(
                f"its pickle names {f'{module}.{name}'[:120]!r}; only a plain Booster is read from a "
                'pickle: save the model with booster.save_model("xgboost-model.ubj")'
            )
        self.stack.append(found)

    def put(self, place: int) -> None:
        """Remember the top of the stack."""
        if not self.stack or self.stack[-1] is _MARK or not 0 <= place <= OPCODES:
            raise Malformed("its pickle remembers nothing, or where nothing can be")
        self.memo[place] = self.stack[-1]

    def get(self, place: int) -> None:
        """Push what was remembered."""
        if place not in self.memo:
            raise Malformed("its pickle recalls what it never remembered")
        self.stack.append(self.memo[place])

    def call(self) -> None:
        """Push what a call would give."""
        arguments, function = self.pop(), self.pop()
        if type(arguments) is not tuple:
            raise Malformed("its pickle calls with what are no arguments")
        if function is Name.RECONSTRUCT and arguments == (Name.BOOSTER, Name.OBJECT, None):
            self.stack.append(_Booster())
        elif function is Name.BYTES and not arguments:
            self.stack.append(b"")
        elif function is Name.BYTES and len(arguments) == 1 and type(arguments[0]) is bytes:
            self.stack.append(arguments[0])
        elif function in (Name.BYTES, Name.ENCODE) and _is_latin(arguments):
            self.stack.append(self.encoded(arguments[0]))
        else:
            raise Malformed("its pickle makes a call that no pickled Booster makes")

    def encoded(self, text: str) -> bytes:
        """Return the bytes that a text stands for, as long as the file is not made to grow by it."""
        self.bytes_left -= len(text)
        if self.bytes_left < 0:
            raise Malformed("its pickle makes more bytes than it has")
        try:
            return text.encode("latin-1")
        except UnicodeEncodeError:
            raise Malformed("its pickle holds a text that stands for no bytes") from None

    def new(self) -> None:
        """Push a new Booster."""
        arguments, kind = self.pop(), self.pop()
        if kind is not Name.BOOSTER or arguments != ():
            raise Malformed("its pickle makes what is no Booster")
        self.stack.append(_Booster())

    def build(self) -> None:
        """Give a Booster its state."""
        state = self.pop()
        booster = self.top(_Booster)
        if type(state) is not dict or booster.state is not None:
            raise Malformed("its pickle gives a Booster a state that is none")
        booster.state = state


def _is_latin(arguments: tuple[Any, ...]) -> bool:
    """True for (text, "latin-1"), which stands for bytes in protocols 0 to 2."""
    return (
        len(arguments) == 2  # noqa: PLR2004 - a pair
        and all(type(each) is str for each in arguments)
        and arguments[1] in _LATIN
    )


def _pairs(items: list[Any]) -> dict[str, Any]:
    if len(items) % 2 or not all(type(key) is str for key in items[::2]):
        raise Malformed("its pickle holds a dict that is none")
    return dict(zip(items[::2], items[1::2], strict=True))


_PUSH_ARGUMENT = frozenset(
    [
        "BINUNICODE",
        "SHORT_BINUNICODE",
        "BINUNICODE8",
        "UNICODE",
        "BINSTRING",
        "SHORT_BINSTRING",
        "STRING",
        "BINBYTES",
        "SHORT_BINBYTES",
        "BINBYTES8",
        "BININT",
        "BININT1",
        "BININT2",
        "INT",
        "LONG",
        "LONG1",
        "BINFLOAT",
        "FLOAT",
    ]
)
_PUSH: dict[str, Callable[[], Any]] = {
    "MARK": lambda: _MARK,
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
    "EMPTY_TUPLE": tuple,
    "EMPTY_LIST": list,
    "EMPTY_DICT": dict,
}
_STEPS: dict[str, Callable[[_Machine, Any], None]] = {
    "BYTEARRAY8": lambda self, argument: self.stack.append(bytes(argument)),
    "TUPLE": lambda self, _: self.stack.append(tuple(self.since_mark())),
    "TUPLE1": lambda self, _: self.stack.append(self.last(1)),
    "TUPLE2": lambda self, _: self.stack.append(self.last(2)),
    "TUPLE3": lambda self, _: self.stack.append(self.last(3)),
    "LIST": lambda self, _: self.stack.append(self.since_mark()),
    "DICT": lambda self, _: self.stack.append(_pairs(self.since_mark())),
    "APPEND": lambda self, _: _append(self, [self.pop()]),
    "APPENDS": lambda self, _: _append(self, self.since_mark()),
    "SETITEM": lambda self, _: _set(self, list(self.last(2))),
    "SETITEMS": lambda self, _: _set(self, self.since_mark()),
    "GLOBAL": lambda self, argument: self.name(*argument.split(" ", 1)),
    "STACK_GLOBAL": lambda self, _: self.name(*self.last(2)),
    "PUT": lambda self, argument: self.put(argument),
    "BINPUT": lambda self, argument: self.put(argument),
    "LONG_BINPUT": lambda self, argument: self.put(argument),
    "MEMOIZE": lambda self, _: self.put(len(self.memo)),
    "GET": lambda self, argument: self.get(argument),
    "BINGET": lambda self, argument: self.get(argument),
    "LONG_BINGET": lambda self, argument: self.get(argument),
    "REDUCE": lambda self, _: self.call(),
    "NEWOBJ": lambda self, _: self.new(),
    "BUILD": lambda self, _: self.build(),
}


def _append(machine: _Machine, items: list[Any]) -> None:
    machine.top(list).extend(items)


def _set(machine: _Machine, items: list[Any]) -> None:
    machine.top(dict).update(_pairs(items))
