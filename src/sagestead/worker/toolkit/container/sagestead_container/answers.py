"""What an `output_fn` may return instead of (content, content type)."""

from __future__ import annotations

from typing import Any

from . import formats


class Response:
    """An answer: its body, status and content type. `accept` says nothing, as it does at AWS."""

    def __init__(  # noqa: PLR0913, PLR0917 - the signature that scripts know
        self,
        response: Any = None,  # noqa: ANN401 - text, bytes or a list of these
        accept: str | None = None,  # noqa: ARG002 - the same
        status: int = 200,
        headers: dict[str, str] | None = None,
        mimetype: str | None = None,
        direct_passthrough: bool = False,  # noqa: FBT001, FBT002, ARG002 - the same
    ) -> None:
        self.headers = dict(headers or {})
        self.status_code = int(status)
        self.mimetype = mimetype or self.headers.get("Content-Type") or formats.JSON
        parts = (
            [response or b""] if isinstance(response, (str, bytes, bytearray, type(None))) else list(response)
        )
        self.data = b"".join(part.encode("utf-8") if isinstance(part, str) else bytes(part) for part in parts)

    @property
    def content_type(self) -> str:
        """The content type of the body."""
        return self.mimetype

    def get_data(self, as_text: bool = False) -> Any:  # noqa: ANN401, FBT001, FBT002 - the signature that scripts know
        """Return the body."""
        return self.data.decode("utf-8") if as_text else self.data
