"""`sagestead demo` leaves nothing behind, however it ends. That it works is shown by `make demo`."""

import signal
import subprocess
import sys
import time
from pathlib import Path

CLIENT = """#!{python}
import pathlib, sys, time
pathlib.Path({begun!r}).touch()
time.sleep(60)
"""


def test_a_demo_that_is_ended_ends_its_server_and_its_client(tmp_path: Path) -> None:
    begun = tmp_path / "begun"
    client = tmp_path / "client"
    client.write_text(CLIENT.format(python=sys.executable, begun=str(begun)))
    client.chmod(0o700)
    command = [sys.executable, "-m", "sagestead", "demo", "--python", str(client)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env={"TMPDIR": str(tmp_path)}) as demo:
        deadline = time.monotonic() + 30
        while not begun.exists():
            assert demo.poll() is None
            assert time.monotonic() < deadline
        demo.send_signal(signal.SIGTERM)
        assert demo.wait(30) == 128 + signal.SIGTERM
    listed = subprocess.run(["ps", "axww", "-o", "args="], check=True, capture_output=True, text=True).stdout
    assert str(tmp_path) not in listed
    assert not list(tmp_path.glob("sagestead-demo-*"))
