"""A child's words, heard one at a time."""

import os
import selectors
import sys

from sagestead.service.child import Child, end_all


def test_two_words_said_at_once_are_heard_one_after_the_other() -> None:
    """The second stays where a selector sees it; read ahead, it was waited for in vain."""
    reading, writing = os.pipe()
    said = "import os; os.write(1, b'prepared\\nready\\n'); os.read(0, 1)"
    child = Child("talker", [sys.executable, "-c", said])
    child.spawn(reading)
    try:
        with selectors.DefaultSelector() as selector:
            selector.register(child.output, selectors.EVENT_READ)
            for word in (b"prepared\n", b"ready\n"):
                assert selector.select(10)
                assert child.output.readline() == word
    finally:
        end_all([child], 10)
        os.close(reading)
        os.close(writing)
