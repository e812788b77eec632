"""Pages of docs/ that are written in part by a tool.

Between ``<!-- generated: NAME -->`` and ``<!-- end -->`` stands what the tool's function of that name gives;
the rest of the page is written by hand.
"""

from __future__ import annotations

import argparse
import difflib
import re
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

DOCS = Path(__file__).resolve().parent.parent / "docs"
_BLOCK = re.compile(r"(<!-- generated: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)

Block = Callable[[], str]


def rewritten(page: str, blocks: Sequence[Block]) -> str:
    """The page with every block as it must be. Errors: ValueError if a block is missing or unknown."""
    by_name = {block.__name__: block for block in blocks}
    there = [name for _, name, _ in _BLOCK.findall(page)]
    if sorted(there) != sorted(by_name):
        raise ValueError(f"the page's blocks are {there}, and should be {[*by_name]}")
    return _BLOCK.sub(lambda block: f"{block[1]}\n{by_name[block[2]]()}\n{block[3]}", page)


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [f"| {' | '.join(cells)} |" for cells in (head, *rows)]
    lines.insert(1, "|" + "---|" * len(head))
    return "\n".join([*lines, ""])


def main(name: str, blocks: Sequence[Block]) -> int:
    """The command that writes the page ``name`` of docs/; its exit status."""
    parser = argparse.ArgumentParser(description=f"Write the generated parts of docs/{name}.")
    parser.add_argument("--check", action="store_true", help="compare only; exit 1 on a difference")
    page = DOCS / name
    old = page.read_text(encoding="utf-8")
    new = rewritten(old, blocks)
    if parser.parse_args().check:
        names = (f"{name} (stored)", f"{name} (generated)")
        sys.stdout.writelines(difflib.unified_diff(old.splitlines(True), new.splitlines(True), *names))
        return int(old != new)
    page.write_text(new, encoding="utf-8")
    return 0
