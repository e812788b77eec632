"""Fills a data directory in the process, where a million API calls would take too long.

Run by the interpreter of the project's own environment, because it imports thingjobs:
``.venv/bin/python -m bench.bulk --data DIR --things N --group NAME --executions N``.
"""

import argparse
from pathlib import Path


def bulk_load(data_dir: Path, things: int, group: str, executions: int) -> None:
    """Register things in a group and store finished executions on them, with no server running.

    - Things are ``{group}-{number:07d}``, numbers 0 to ``things`` - 1, without type and attributes; all are
      direct members of the static thing group ``group``. Their scope is the one that the credentials of
      ``thingjobs env --data DIR`` sign for, so that API calls made with these see everything.
    - Executions belong to COMPLETED snapshot jobs ``{group}-history-{k}``, k = 0, 1, …, targeting ``group``:
      each job takes the things in name order, one SUCCEEDED execution per thing, until ``executions`` are
      stored. So a million executions on a million things are one job; on 8,000 things they are 125.
      Counters agree with the rows.
    - May be called again on the same directory with another ``group``. A missing directory is made.
    - Goes through the project's own operations and store, in sets of some thousands, so that the rows are
      those which the API would have written.
    """
    raise NotImplementedError(f"{executions} executions on {things} things of {group} in {data_dir}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--things", type=int, required=True)
    parser.add_argument("--group", required=True)
    parser.add_argument("--executions", type=int, required=True)
    args = parser.parse_args()
    bulk_load(args.data, args.things, args.group, args.executions)


if __name__ == "__main__":
    main()
