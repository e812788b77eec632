"""The SQL the service runs: named blocks in ``queries/*.sql``, read once.

A block starts with ``-- name: what_it_is`` followed by comment lines that say what it is for. A file
``queries/<dialect>/x.sql`` may give a block of the same name again, for that dialect.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import resources
from importlib.resources.abc import Traversable


def read_blocks(dialect: str) -> Mapping[str, str]:
    """Every block by name, the dialect's own in place of the common ones."""
    queries = resources.files("thingjobs.store") / "queries"
    blocks = _blocks_in(queries)
    own = queries / dialect
    if own.is_dir():
        blocks.update(_blocks_in(own))
    return blocks


def _blocks_in(folder: Traversable) -> dict[str, str]:
    blocks: dict[str, str] = {}
    for file in sorted(folder.iterdir(), key=lambda f: f.name):
        if not file.name.endswith(".sql"):
            continue
        for part in file.read_text(encoding="utf-8").split("-- name: ")[1:]:
            name, _, body = part.partition("\n")
            if name.strip() in blocks:
                raise ValueError(f"SQL block {name.strip()} is defined twice ({file.name})")
            lines = (line for line in body.splitlines() if not line.lstrip().startswith("--"))
            blocks[name.strip()] = "\n".join(lines).strip().removesuffix(";")
    return blocks
