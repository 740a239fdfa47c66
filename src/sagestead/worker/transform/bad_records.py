"""Which records of a refused payload are to blame.

Rule: halves are asked until single records are left; the answer does not depend on anything but what the
model says. When every record alone is fine and only together they are refused, the last record of the
shortest refused beginning is named.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

Record = TypeVar("Record")


def find_bad(
    records: Sequence[Record], cause: str, ask: Callable[[Sequence[Record]], str | None], most: int
) -> list[tuple[int, str]]:
    """Return (index, cause) of up to `most` bad records, in order.

    Args:
        records: what was refused.
        cause: why.
        ask: asks the model about a part.
        most: stop there.
    """
    found: list[tuple[int, str]] = []

    def look(start: int, end: int, why: str) -> None:
        if end - start == 1:
            found.append((start, why))
            return
        middle = (start + end) // 2
        before = len(found)
        for low, high in ((start, middle), (middle, end)):
            if len(found) < most:
                below = ask(records[low:high])
                if below is not None:
                    look(low, high, below)
        if len(found) == before:
            found.append(_last_of_shortest(start, end, why))

    def _last_of_shortest(start: int, end: int, why: str) -> tuple[int, str]:
        """Find the shortest refused beginning of a part whose halves are fine."""
        low, high = (start + end) // 2, end
        while high - low > 1:
            middle = (low + high) // 2
            answer = ask(records[start:middle])
            if answer is None:
                low = middle
            else:
                high, why = middle, answer
        return high - 1, why

    look(0, len(records), cause)
    return found
