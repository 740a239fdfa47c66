"""A client of the running server: botocore, signed like any other client."""

from __future__ import annotations

from typing import Any

from sagestead.cli.env import choose_key
from sagestead.settings import Folder, Server


def client(folder: Folder, server: Server, service: str) -> Any:  # noqa: ANN401 - botocore's clients are made at run time
    """Return a client of one of the server's services."""
    import botocore.session  # noqa: PLC0415 - only when it is needed: `up` starts faster
    from botocore.config import Config  # noqa: PLC0415 - only when it is needed: `up` starts faster

    key = choose_key(folder, server, None)
    return botocore.session.get_session().create_client(
        service,
        region_name=server.region,
        endpoint_url=server.url,
        verify=server.ca,
        aws_access_key_id=key.access_key_id,
        aws_secret_access_key=key.secret,
        config=Config(retries={"max_attempts": 0}, connect_timeout=3, read_timeout=10),
    )
