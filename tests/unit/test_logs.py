"""The log never fails, says what was lost, and has one form."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from thingjobs.logs import Lines


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    """Its reading end and its writing end, which does not wait."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    yield reader, writer
    os.close(reader)
    os.close(writer)


def lines_to(descriptor: int) -> Lines:
    return Lines(descriptor, lambda lost: f"lost {lost}\n")


def test_reader_that_is_gone_costs_lines_and_nothing_else() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    lines = lines_to(writer)
    lines.write("one\n")
    lines.write("two\n")
    os.close(writer)
    lines.write("three\n")
    assert lines.lost == 3


def test_first_line_that_can_be_written_again_follows_the_number_of_those_lost(
    pipe: tuple[int, int],
) -> None:
    reader, writer = pipe
    lines = lines_to(writer)
    while not lines.lost:
        lines.write("x" * 4095 + "\n")
    lines.write("lost too\n")
    os.set_blocking(reader, False)
    while read_some(reader):
        pass
    lines.write("back\n")
    lines.write("again\n")
    assert os.read(reader, 4096) == b"lost 2\nback\nagain\n"
    assert lines.lost == 2


def read_some(reader: int) -> bytes:
    try:
        return os.read(reader, 65_536)
    except BlockingIOError:
        return b""


_PROGRAM = """
import logging, sys, warnings
import structlog
from thingjobs import logs
logs.configure("info", "json")
log = structlog.get_logger()
log.info("ours", n=1)
logging.getLogger("library").warning("theirs %d", 2)
try:
    raise OSError("no")
except OSError:
    logging.getLogger("library").exception("failed")
warnings.warn("old")
"""


def test_lines_of_libraries_are_json_too() -> None:
    ended = subprocess.run([sys.executable, "-c", _PROGRAM], capture_output=True, text=True, check=True)
    ours, theirs, failed, warned = map(json.loads, ended.stderr.splitlines())
    assert (ours["event"], ours["level"], ours["n"]) == ("ours", "info", 1)
    assert (theirs["event"], theirs["level"], theirs["logger"]) == ("theirs 2", "warning", "library")
    assert failed["level"] == "error"
    assert "OSError: no" in failed["exception"]
    assert (warned["level"], warned["logger"]) == ("warning", "py.warnings")
    assert all(line["timestamp"].endswith("Z") for line in (ours, theirs, failed, warned))


_ON_A_FULL_DISK = """
import resource
from thingjobs import logs
import structlog
lines = logs.configure("info", "json")
log = structlog.get_logger()
log.info("before")
resource.setrlimit(resource.RLIMIT_FSIZE, (100, resource.RLIM_INFINITY))
log.info("cut" * 10)
log.info("not begun")
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
log.info("after")
print(lines.lost)
"""


def test_line_that_a_full_disk_cut_off_does_not_spoil_the_next(tmp_path: Path) -> None:
    file = tmp_path / "log"
    with file.open("wb") as log:
        ended = subprocess.run(
            [sys.executable, "-c", _ON_A_FULL_DISK], stdout=subprocess.PIPE, stderr=log, text=True, check=True
        )
    assert ended.stdout == "2\n"
    before, cut, notice, after = file.read_text().splitlines()
    assert json.loads(before)["event"] == "before"
    assert cut == '{"event":"cutcutcutcutcutcutcut'[: len(cut)]
    shown = json.loads(notice)
    assert (shown["event"], shown["lines"], shown["level"]) == ("log_lines_lost", 2, "warning")
    assert json.loads(after)["event"] == "after"
