"""Policy documents: from text to statements that can be relied on.

Rule: an element that IAM does not know, or of the wrong form, is refused, so that nothing written in a policy
is silently without effect. Which services, actions and resources there are is not checked.
"""

from __future__ import annotations

import json
import re
from typing import Any

from sagestead.domain.errors import Invalid
from sagestead.domain.resources import Json

NEWEST = "2012-10-17"
VERSIONS = (NEWEST, "2008-10-17")
_DOCUMENT = frozenset({"Version", "Id", "Statement"})
_STATEMENT = frozenset({"Sid", "Effect", "Principal", "Action", "NotAction", "Condition"})
_RESOURCES = frozenset({"Resource", "NotResource"})
_ACTION = re.compile(r"\*|[a-zA-Z0-9.-]+:[^:]+")
_RESOURCE = re.compile(r"\*|arn:[^:]+:[^:]+(:[^:]*:[^:]*:.+)?|arn:.*\*.*", re.DOTALL)
_ORDERED = "(Numeric|Date)(Equals|NotEquals|LessThan|LessThanEquals|GreaterThan|GreaterThanEquals)"
_TEXT = "String(Equals|NotEquals|EqualsIgnoreCase|NotEqualsIgnoreCase|Like|NotLike)"
_ARN = "Arn(Equals|NotEquals|Like|NotLike)"
_OPERATOR = re.compile(
    rf"(For(AllValues|AnyValue):)?({_TEXT}|{_ORDERED}|{_ARN}|Bool|BinaryEquals|(Not)?IpAddress)(IfExists)?|Null"
)


def read_document(text: str, *, trust: bool) -> Json:
    """Return a policy document.

    Args:
        text: JSON.
        trust: it says who may assume a role (needs principals, has no resources).

    Raises:
        Invalid: with the code `MalformedPolicyDocument`.
    """
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        raise malformed("is not valid JSON; send one JSON object") from None
    if not isinstance(document, dict):
        raise malformed("is not a JSON object; send one")
    _check_known(document, _DOCUMENT, "")
    _check_text(document, "Id")
    if document.get("Version", VERSIONS[1]) not in VERSIONS:
        raise malformed(f"has an unknown Version; send {NEWEST}")
    found = document.get("Statement")
    if not found or not isinstance(found, dict | list):
        raise malformed("has no Statement; send a list of statements")
    for statement in listed(found):
        _check_statement(statement, trust=trust)
    names = [statement["Sid"] for statement in listed(found) if statement.get("Sid")]
    if len(set(names)) < len(names):
        raise malformed("has two statements with one Sid; send each Sid once")
    return document


def listed(value: Any) -> list[Any]:  # noqa: ANN401 - JSON of any type
    """Return an element as the list of its values: policies may leave the brackets of one value out."""
    return value if isinstance(value, list) else [value]


def malformed(what: str) -> Invalid:
    """Return the refusal that says what the policy document is, has or lacks."""
    return Invalid(f"The policy document {what}.", code="MalformedPolicyDocument")


def _check_statement(statement: Any, *, trust: bool) -> None:  # noqa: ANN401 - JSON of any type
    if not isinstance(statement, dict):
        raise malformed("has a statement that is not an object; send objects")
    if statement.get("Effect") not in ("Allow", "Deny"):  # a tuple: the value may be a list
        raise malformed("has a statement without Effect; send Allow or Deny")
    _check_text(statement, "Sid")
    _check_strings(statement, "Action", _ACTION, "service:Action, or *")
    if trust:
        _check_principal(statement)
        if not _RESOURCES.isdisjoint(statement):
            raise malformed("is a trust policy and has a Resource; leave it out")
    else:
        _check_strings(statement, "Resource", _RESOURCE, "an ARN, or *")
        if "Principal" in statement or "NotPrincipal" in statement:
            raise malformed("is attached to identities and has a Principal; leave it out")
    _check_known(statement, _STATEMENT | _RESOURCES, "a statement with ")
    _check_condition(statement.get("Condition", {}))


def _check_known(element: Json, known: frozenset[str], where: str) -> None:
    unknown = sorted(element.keys() - known)
    if unknown:
        raise malformed(f"has {where}the unknown element '{unknown[0][:64]}'; leave it out, or mend its name")


def _check_text(element: Json, name: str) -> None:
    if not isinstance(element.get(name, ""), str):
        raise malformed(f"has an {name} that is not text; send text")


def _check_strings(statement: Json, name: str, form: re.Pattern[str], wanted: str) -> None:
    """Check an element that is there once, as itself or as its `Not`, with at least one value."""
    present = [statement[key] for key in (name, f"Not{name}") if key in statement]
    if len(present) != 1 or present[0] == []:
        raise malformed(f"has a statement without {name} (or with Not{name} too); send one of them")
    for item in listed(present[0]):
        if not isinstance(item, str):
            raise malformed(f"has a {name} that is not text; send text or a list of text")
        if form.fullmatch(item) is None:
            raise malformed(f"has the {name} '{item[:256]}'; send {wanted}")


def _check_principal(statement: Json) -> None:
    principal = statement.get("Principal")
    if principal == "*":
        return
    if not isinstance(principal, dict) or not principal:
        raise malformed('has a statement without Principal; send for example {"Service": …}')
    if not all(isinstance(item, str) for values in principal.values() for item in listed(values)):
        raise malformed("has a Principal that is not text; send text or a list of text")


def _check_condition(condition: Any) -> None:  # noqa: ANN401 - JSON of any type
    if not isinstance(condition, dict) or not all(isinstance(test, dict) for test in condition.values()):
        raise malformed("has a Condition that is not an object of objects; send one")
    for operator, tests in condition.items():
        if _OPERATOR.fullmatch(operator) is None:
            raise malformed(f"has a Condition with the unknown operator '{operator[:64]}'; use one of IAM's")
        for key, values in tests.items():
            if not all(isinstance(value, str | int | float) for value in listed(values)):
                raise malformed(
                    f"has a Condition whose '{key[:64]}' is not text; send text or a list of text"
                )
