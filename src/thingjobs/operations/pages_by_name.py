"""Lists in the order of names, a page at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from thingjobs.domain.paging import Filters, decode_token, encode_token

DEFAULT_PAGE = 250

Row = TypeVar("Row")


@dataclass(frozen=True, slots=True)
class PageByName:
    """What is asked for: up to ``limit`` rows behind the name ``after`` ('' before the first)."""

    operation: str
    filters: Filters
    after: str
    limit: int

    def cut(self, rows: Sequence[Row], name: Callable[[Row], str]) -> tuple[Sequence[Row], str | None]:
        """The page out of ``limit`` + 1 rows that were read, and the token of the next if there is one."""
        if len(rows) <= self.limit:
            return rows, None
        page = rows[: self.limit]
        return page, self.token_behind(name(page[-1]))

    def token_behind(self, name: str) -> str:
        return encode_token(self.operation, self.filters, (name,))


def page_by_name(
    operation: str, filters: Filters, next_token: str | None, max_results: int | None
) -> PageByName:
    """Errors: InvalidRequest for a token of another list."""
    after = "" if next_token is None else decode_token(operation, filters, next_token, (str,))[0]
    return PageByName(operation, filters, after, max_results or DEFAULT_PAGE)
