"""List operations: questions, pages and the tokens between pages (spec: control-plane.md section 5).

Rule: a token holds the place of the last row returned and a seal over the question, so that pages never
repeat or skip a row whatever is written in between, and a token serves only the question it came from.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeVar

from sagestead.control.context import Context
from sagestead.domain.errors import Invalid
from sagestead.domain.resources import Json, Kind, Resource
from sagestead.ports import Listing

T = TypeVar("T")
Sort = Literal["name", "created_at", "status"]

DEFAULT_PAGE = 10
_SORTS: dict[str, Sort] = {"Name": "name", "CreationTime": "created_at", "Status": "status"}
_SORT_VALUES: dict[str, Callable[[Resource], str | float]] = {
    "name": lambda resource: resource.key.name,
    "created_at": lambda resource: resource.created_at,
    "status": lambda resource: resource.status,
}
_SEAL_BYTES = 16


@dataclass(frozen=True, slots=True)
class ListOf:
    """How one List operation answers.

    Attributes:
        kind: what it lists.
        member: member of the answer that holds the rows.
        summary: resource -> row.
        descending: the default order.
        status_after_page: StatusEquals drops rows of a page that is already cut, so that pages can be
            short (as ListTrainingJobs does).
    """

    kind: Kind
    member: str
    summary: Callable[[Resource], Json]
    descending: bool = True
    status_after_page: bool = False

    def __call__(self, ctx: Context, request: Json) -> Json:
        """Answer one page."""
        listing = self.question(ctx, request)
        filters = replace(listing, limit=0, after=None)
        if request.get("NextToken"):
            listing = replace(listing, after=opened(request["NextToken"], filters))
        wanted = listing.status
        asked = replace(listing, limit=listing.limit + 1, status=None if self.status_after_page else wanted)
        found = ctx.resources.page(asked)
        rows = found[: listing.limit]
        answer: Json = {
            self.member: [self.summary(row) for row in rows if wanted is None or row.status == wanted]
        }
        if len(found) > len(rows):
            last = rows[-1]
            answer["NextToken"] = seal((_SORT_VALUES[listing.sort_by](last), last.key.name), filters)
        return answer

    def question(self, ctx: Context, request: Json) -> Listing:
        """Return the first page's question."""
        order = request.get("SortOrder")
        return Listing(
            kind=self.kind,
            account=ctx.account,
            region=ctx.region,
            limit=request.get("MaxResults", DEFAULT_PAGE),
            sort_by=_SORTS[request.get("SortBy", "CreationTime")],
            descending=self.descending if order is None else order == "Descending",
            name_contains=request.get("NameContains"),
            status=request.get("StatusEquals"),
            created_after=request.get("CreationTimeAfter"),
            created_before=request.get("CreationTimeBefore"),
            modified_after=request.get("LastModifiedTimeAfter"),
            modified_before=request.get("LastModifiedTimeBefore"),
        )


def cut(
    rows: Iterable[T],
    place: Callable[[T], tuple[Any, str]],
    *,
    descending: bool,
    request: Json,
    question: tuple[object, ...],
) -> tuple[list[T], str | None]:
    """Return one page of rows that are all at hand, and the token of the next one, if there is more.

    `place` gives a row's sort value and name (ties are broken by name, ascending); a token serves only the
    `question` it came from.
    """
    rows = sorted(rows, key=lambda row: place(row)[1])
    rows.sort(key=lambda row: place(row)[0], reverse=descending)
    token, limit = request.get("NextToken"), request.get("MaxResults", DEFAULT_PAGE)
    if token:
        value, name = opened(token, question)

        def is_after(row: T) -> bool:
            sort_value, row_name = place(row)
            if sort_value == value:
                return row_name > name
            return bool(sort_value < value if descending else sort_value > value)

        rows = [row for row in rows if is_after(row)]
    page = rows[:limit]
    return page, seal(place(page[-1]), question) if len(rows) > limit else None


def refuse_token(request: Json) -> None:
    """Refuse any token: for operations that answer everything in one page, and so never gave one."""
    if request.get("NextToken"):
        raise _bad_token()


def seal(place: tuple[Any, str], filters: object) -> str:
    """Return the token of a place (sort value and name of a row) in the answers to a question."""
    body = json.dumps(place).encode()
    return base64.urlsafe_b64encode(_digest(body, filters) + body).decode()


def opened(token: str, filters: object) -> tuple[Any, str]:
    """Return the place that a token names; raise `Invalid` if it is not one of this question's."""
    try:
        raw = base64.b64decode(token.encode(), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise _bad_token() from None
    seal, body = raw[:_SEAL_BYTES], raw[_SEAL_BYTES:]
    if not hmac.compare_digest(seal, _digest(body, filters)):
        raise _bad_token()
    value, name = json.loads(body)
    return value, name


def _digest(body: bytes, filters: object) -> bytes:
    """Return the seal: it finds tokens that were changed, or come from another question."""
    return hashlib.blake2b(repr(filters).encode() + b"\0" + body, digest_size=_SEAL_BYTES).digest()


def _bad_token() -> Invalid:
    return Invalid(
        "Invalid NextToken: pass the token exactly as the previous page gave it, with the same filters, "
        "order and account, or leave it out to begin anew."
    )
