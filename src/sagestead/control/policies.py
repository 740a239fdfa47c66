"""Policy documents: whom they trust, what they allow.

Rule: pure functions of documents that `read_document` has returned. A statement with a condition that cannot
be decided here never allows.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fnmatch import fnmatchcase
from typing import Any, Literal

from sagestead.control.policy_documents import listed
from sagestead.domain.resources import Json

Decision = Literal["allowed", "explicitDeny", "implicitDeny"]


def trusts_service(document: Json, service: str) -> bool:
    """True when a trust document lets a service such as `sagemaker.amazonaws.com` assume the role.

    Deny statements win. A condition says for whom the service acts: here that is the role's own account.
    """
    verdicts = {
        statement["Effect"]
        for statement in _statements(document)
        if _names_action(statement, "sts:AssumeRole") and _names_service(statement, service)
    }
    return verdicts == {"Allow"}


def trusts_caller(document: Json, account: str, arn: str, external_id: str | None) -> bool:
    """True when a trust document lets a principal assume the role (Deny statements win).

    The whole account is trusted by its number or its `root` ARN; a session also by its role's ARN.
    """
    verdicts = {
        statement["Effect"]
        for statement in _statements(document)
        if _names_action(statement, "sts:AssumeRole")
        and _names_caller(statement, account, arn)
        and _holds(statement, external_id)
    }
    return verdicts == {"Allow"}


def decide(documents: Iterable[Json], action: str, resource: str) -> tuple[Decision, list[str]]:
    """Return what identity-based documents say of an action, and the condition keys left undecided."""
    decision: Decision = "implicitDeny"
    missing: set[str] = set()
    for document in documents:
        for statement in _statements(document):
            if not (_names_action(statement, action) and _names_resource(statement, resource)):
                continue
            if statement.get("Condition"):
                missing.update(key for test in statement["Condition"].values() for key in test)
            elif statement["Effect"] == "Deny":
                return "explicitDeny", sorted(missing)
            else:
                decision = "allowed"
    return decision, sorted(missing)


def _statements(document: Json) -> Iterator[Json]:
    found = document["Statement"]
    yield from found if isinstance(found, list) else [found]


def _strings(principal: Any, kind: str) -> list[str]:  # noqa: ANN401 - JSON of any type
    return listed(principal[kind]) if isinstance(principal, dict) and kind in principal else []


def _names_action(statement: Json, action: str) -> bool:
    """True when the statement speaks of an action; names of actions have no case."""
    named = statement.get("Action", statement.get("NotAction"))
    found = any(fnmatchcase(action.lower(), _glob(pattern.lower())) for pattern in listed(named))
    return found == ("Action" in statement)


def _names_resource(statement: Json, resource: str) -> bool:
    named = statement.get("Resource", statement.get("NotResource"))
    found = any(fnmatchcase(resource, _glob(pattern)) for pattern in listed(named))
    return found == ("Resource" in statement)


def _glob(pattern: str) -> str:
    """Return IAM's wildcards as fnmatch's: a bracket is only a bracket."""
    return pattern.replace("[", "[[]")


def _names_caller(statement: Json, account: str, arn: str) -> bool:
    principal = statement.get("Principal", {})
    if principal == "*":
        return True
    accepted = {"*", account, f"arn:aws:iam::{account}:root", arn}
    if ":assumed-role/" in arn:
        role = arn.split("/")[1]
        named = _strings(principal, "AWS")
        own = f"arn:aws:iam::{account}:role/"
        return any(name in accepted or (name.startswith(own) and name.endswith(f"/{role}")) for name in named)
    return any(name in accepted for name in _strings(principal, "AWS"))


def _names_service(statement: Json, service: str) -> bool:
    principal = statement.get("Principal", {})
    return principal == "*" or not {service, "*"}.isdisjoint(_strings(principal, "Service"))


def _holds(statement: Json, external_id: str | None) -> bool:
    """True when the statement's conditions are met; only `sts:ExternalId` can be decided here.

    A Deny whose condition cannot be decided denies.
    """
    condition = statement.get("Condition")
    if not condition:
        return True
    wanted = condition.get("StringEquals", {}).get("sts:ExternalId")
    if wanted is not None and condition == {"StringEquals": {"sts:ExternalId": wanted}}:
        return external_id in listed(wanted)
    return bool(statement["Effect"] == "Deny")
