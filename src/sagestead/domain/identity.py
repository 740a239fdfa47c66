"""Who calls: accounts, credentials and principals."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Credential:
    """A key pair, or the temporary credentials of a session.

    Attributes:
        access_key_id: public half.
        secret: secret half; never leaves the process in any output.
        account: twelve digits.
        arn: ARN of the principal that the key speaks for.
        session_token: set for temporary credentials only.
        expires_at: seconds since the epoch, for temporary credentials only.
        enabled: a disabled key is refused like an unknown one.
    """

    access_key_id: str
    secret: str
    account: str
    arn: str
    session_token: str | None = None
    expires_at: float | None = None
    enabled: bool = True

    def __repr__(self) -> str:
        return f"Credential({self.access_key_id})"


@dataclass(frozen=True, slots=True)
class Principal:
    """A verified caller. Only the verifier makes one.

    Attributes:
        account: twelve digits, from the key.
        arn: ARN of the caller.
        access_key_id: key that signed.
        region: from the credential scope (signature version 2 has none: the server's own region).
        service: signing name from the credential scope, for example `sagemaker`.
    """

    account: str
    arn: str
    access_key_id: str
    region: str
    service: str
