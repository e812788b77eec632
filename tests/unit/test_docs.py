"""The documentation agrees with the code: settings, operations, dependencies, endpoints, metrics, links."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any, cast, get_args

import pytest

from thingjobs.auth.keys import Role, may
from thingjobs.cli import app
from thingjobs.metrics import Metrics
from thingjobs.operations.catalog import CONTROL, DEVICE
from thingjobs.settings import Settings
from thingjobs.store.batcher import Statistics
from thingjobs.store.store import Store
from thingjobs.wire.operation import Plane
from thingjobs.wire.routes import OPERATIONS

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "thingjobs"
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]
DECISIONS = sorted((ROOT / "docs" / "adr").glob("[0-9]*.md"))


def read(path: str) -> str:
    return (ROOT / path).read_text(encoding="utf-8")


def section(text: str, heading: str) -> str:
    """What stands below ``heading``, up to the next heading of its level or a higher one."""
    level = heading.index(" ")
    _, found, rest = f"\n{text}".partition(f"\n{heading}\n")
    assert found, f"there is no heading {heading!r}"
    return re.split(rf"\n#{{1,{level}}} ", rest, maxsplit=1)[0]


def rows(text: str) -> list[str]:
    """The rows of the tables in ``text``, without their heads."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    rulers = {at for at, line in enumerate(lines) if re.fullmatch(r"\|(-+\|)+", line)}
    return [line for at, line in enumerate(lines) if at not in rulers and at + 1 not in rulers]


def names(text: str) -> list[str]:
    """What the rows of the tables in ``text`` are about: the code in their first column."""
    return [name for row in rows(text) for name in re.findall(r"`([^`]+)`", row.split("|")[1])]


def must_be(shown: list[str], expected: list[str], where: str) -> None:
    assert shown == expected, "\n".join([f"{where} must have:", *expected])


# --- settings -----------------------------------------------------------------------------------


def documented_settings(command: str, *, shared: bool) -> Iterator[str]:
    """The row of each setting of a command; ``shared``: those of both commands, or those it has alone."""
    of_both = {field.name for field in fields(Settings)}
    for argument in app[command].assemble_argument_collection():
        if argument.keys and (argument.keys[0] in of_both) is shared:
            (flag,) = argument.names
            columns = (
                f"`{flag}`",
                f"`THINGJOBS_{argument.keys[0].upper()}`",
                kind_of_value(argument),
                shown_default(argument.field_info.default),
                str(argument.parameter.help),
            )
            yield f"| {' | '.join(columns)} |"


def kind_of_value(argument: Any) -> str:
    if choices := argument.get_choices():
        return ", ".join(f"`{choice}`" for choice in choices)
    (hint,) = {argument.hint, *get_args(argument.hint)} & {Path, int, str, bool}
    kind = {Path: "path", int: "integer", str: "text", bool: "switch"}[hint]
    bounds = [f", {rule.gte}–{rule.lte}" for rule in argument.parameter.validator]
    return f"{kind}{', several' * (argument.hint == tuple[str, ...])}{''.join(bounds)}"


def shown_default(default: object) -> str:
    if default is None or default == ():
        return "–"
    return "off" if default is False else f"`{default}`"


@pytest.mark.parametrize(
    ("heading", "command", "shared"),
    [
        ("## Settings of both commands", "dev", True),
        ("## Settings of both commands", "serve", True),
        ("## Settings of `thingjobs dev` only", "dev", False),
        ("## Settings of `thingjobs serve` only", "serve", False),
    ],
)
def test_every_setting_is_documented_as_it_is(heading: str, command: str, shared: bool) -> None:
    page = section(read("docs/configuration.md"), heading)
    must_be(rows(page), list(documented_settings(command, shared=shared)), f"configuration.md, {heading}")


# --- operations -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("heading", "plane", "served"),
    [
        ("### Control plane, service `iot`", Plane.CONTROL, frozenset(CONTROL)),
        ("### Device plane, service `iot-jobs-data`", Plane.DEVICE, DEVICE),
    ],
)
def test_table_of_operations_is_what_is_served(heading: str, plane: Plane, served: frozenset[str]) -> None:
    expected = [
        f"| `{operation.name}` | `{operation.method} {operation.uri}` |"
        f" {'any' if may(Role.READ_ONLY, operation.name) else 'admin'} |"
        for operation in sorted(OPERATIONS, key=lambda operation: operation.name)
        if operation.plane is plane and operation.name in served
    ]
    must_be(rows(section(read("docs/compatibility.md"), heading)), expected, f"compatibility.md, {heading}")


def test_number_of_operations_is_that_of_the_models() -> None:
    assert f"{len(OPERATIONS)} operations in all" in read("docs/compatibility.md")


# --- dependencies -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("heading", "keys"),
    [
        ("## Run time", ("dependencies",)),
        ("## Tests and tools", ("optional-dependencies", "dev")),
    ],
)
def test_every_dependency_says_why(heading: str, keys: tuple[str, ...]) -> None:
    required = tomllib.loads(read("pyproject.toml"))["project"]
    for key in keys:
        required = required[key]
    expected = [re.split(r"[^\w-]", requirement)[0] for requirement in required]
    must_be(names(section(read("docs/dependencies.md"), heading)), expected, f"dependencies.md, {heading}")


# --- what an operator sees --------------------------------------------------------------------------


def test_every_endpoint_of_ours_is_documented() -> None:
    served = re.findall(r'\("(?:GET|POST)", b"(/-/[^"]+)"\)', (SOURCE / "http" / "admin.py").read_text())
    page = section(read("docs/operations.md"), "## Health and readiness")
    must_be(names(page), served, "operations.md, health and readiness")


def test_every_metric_is_documented() -> None:
    class NoStore:
        statistics = (Statistics(), Statistics())

    text = Metrics(cast(Store, NoStore())).text().decode()
    served = {
        name for name in re.findall(r"^# TYPE (\w+) ", text, re.MULTILINE) if not name.endswith("_created")
    }
    assert set(names(section(read("docs/operations.md"), "## Metrics"))) == served


def test_every_event_of_the_log_is_documented() -> None:
    code = "".join(file.read_text(encoding="utf-8") for file in SOURCE.rglob("*.py"))
    logged = set(re.findall(r'\blog\.\w+\)?\(\s*"(\w+)"', code))
    assert set(names(section(read("docs/operations.md"), "## Logs"))) == logged


# --- the house ----------------------------------------------------------------------------------------


def test_house_shows_every_package_and_module() -> None:
    house = section(read("docs/architecture.md"), "## The house")
    shown = dict(re.findall(r"^  ([\w.]+)/? +(.*)", house, re.MULTILINE))
    there = {
        path.name for path in SOURCE.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()
    }
    assert there - {"__init__.py", "__main__.py"} <= shown.keys()
    assert {name for name, what in shown.items() if not what.startswith("being built")} <= there


def test_every_table_of_the_store_is_shown() -> None:
    schema = (SOURCE / "store" / "schema.sqlite.sql").read_text(encoding="utf-8")
    page = section(read("docs/architecture.md"), "## The store")
    must_be(names(page), re.findall(r"CREATE TABLE (\w+)", schema), "architecture.md, the store")


# --- decisions and links --------------------------------------------------------------------------------


def test_decisions_are_numbered_and_listed() -> None:
    assert [int(page.name[:4]) for page in DECISIONS] == list(range(1, len(DECISIONS) + 1))
    expected = []
    for page in DECISIONS:
        text = page.read_text(encoding="utf-8")
        title = text.splitlines()[0].removeprefix("# ")
        assert title.startswith(f"{page.name[:4]}. ")
        status = re.search(r"^Status: (in use|planned|replaced by \d{4})", text, re.MULTILINE)
        assert status is not None, page.name
        assert re.findall(r"^## (.*)", text, re.MULTILINE) == ["Context", "Choice", "Price"], page.name
        expected.append(f"| [{title}]({page.name}) | {status[1]} |")
    must_be(rows(read("docs/adr/README.md")), expected, "adr/README.md")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        if "://" in target:
            continue
        path, _, anchor = target.partition("#")
        linked = (page.parent / path) if path else page
        assert linked.exists(), target
        if anchor:
            headings = re.findall(r"^#+ (.*)", linked.read_text(encoding="utf-8"), re.MULTILINE)
            assert anchor in [
                re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings
            ]
