from __future__ import annotations

import json
import socket
import threading
from pathlib import Path

from sagestead.worker.meeting import FirstHost, join


def test_all_hosts_hear_what_the_first_tells_whoever_comes_first(tmp_path: Path) -> None:
    place, link = tmp_path / "meeting", tmp_path / "link"
    place.write_text(json.dumps({"port": 1, "token": "of an earlier start"}))
    link.symlink_to(place.name)
    answers: dict[str, object] = {}

    def other(name: str) -> None:
        answers[name] = join(link, name, {"rows": int(name[-1])})

    threads = [threading.Thread(target=other, args=(f"algo-{number}",)) for number in (2, 3)]
    threads[0].start()
    first = FirstHost(place, ["algo-2", "algo-3"])
    threads[1].start()
    assert first.hear() == {"algo-2": {"rows": 2}, "algo-3": {"rows": 3}}
    first.tell({"ring": 7})
    for thread in threads:
        thread.join()
    assert answers == {"algo-2": {"ring": 7}, "algo-3": {"ring": 7}}


def test_who_cannot_read_the_file_does_not_join(tmp_path: Path) -> None:
    place = tmp_path / "meeting"
    first = FirstHost(place, ["algo-2"])
    assert place.stat().st_mode & 0o777 == 0o600
    port = json.loads(place.read_text())["port"]
    strangers = (b'{"host": "algo-2", "token": "guess", "facts": {}}\n', b"[]\n", b"\xff\n", b"{}\n")
    for message in strangers:
        with socket.create_connection(("127.0.0.1", port)) as connection:
            connection.sendall(message)
    thread = threading.Thread(target=join, args=(place, "algo-2", {"rows": 1}))
    thread.start()
    assert first.hear() == {"algo-2": {"rows": 1}}
    first.tell({})
    thread.join()
