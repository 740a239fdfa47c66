"""A child's words, heard one at a time."""

import os
import selectors
import sys

from sagestead.service.child import Child


def test_two_words_said_at_once_are_heard_one_after_the_other() -> None:
    """The second stays where a selector sees it; read ahead, it was waited for in vain until the start failed."""
    reading, writing = os.pipe()
    said = "import os; os.write(1, b'prepared\\nready\\n')"
    child = Child("talker", [sys.executable, "-c", said])
    child.spawn(reading)
    try:
        assert child.process is not None
        child.process.wait(20)
        with selectors.DefaultSelector() as selector:
            selector.register(child.output, selectors.EVENT_READ)
            for word in (b"prepared\n", b"ready\n"):
                assert selector.select(5)
                assert child.output.readline() == word
    finally:
        child.close()
        os.close(reading)
        os.close(writing)
