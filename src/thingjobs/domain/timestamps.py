"""Instants as the two planes write them. Inside, an instant is integer milliseconds since the epoch, UTC."""

from __future__ import annotations

from typing import overload


@overload
def epoch_seconds(at: int) -> float: ...
@overload
def epoch_seconds(at: None) -> None: ...
@overload
def epoch_seconds(at: int | None) -> float | None: ...
def epoch_seconds(at: int | None) -> float | None:
    """Control plane: seconds with three decimals, ``1560787022.733``; None stays None."""
    return None if at is None else at / 1000


@overload
def whole_seconds(at: int) -> int: ...
@overload
def whole_seconds(at: None) -> None: ...
@overload
def whole_seconds(at: int | None) -> int | None: ...
def whole_seconds(at: int | None) -> int | None:
    """Device plane: whole seconds, rounded down; None stays None."""
    return None if at is None else at // 1000
