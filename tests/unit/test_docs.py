"""The documentation agrees with the code: settings, operations, quotas, endpoints, metrics, layers, links."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any, cast, get_args

import pytest

from thingjobs.auth import sigv4_query
from thingjobs.auth.throttle import Throttle
from thingjobs.cli import app
from thingjobs.domain.quotas import DEFAULT_QUOTAS, REQUEST_RATES
from thingjobs.jobs_cli.exits import MEANING
from thingjobs.metrics import Metrics
from thingjobs.mqtt.access import ByRole
from thingjobs.mqtt.clients import MAX_RETAINED, MAX_RETAINED_BYTES
from thingjobs.mqtt.connection import MAX_UNSENT
from thingjobs.mqtt.decoder import MAX_FILTERS
from thingjobs.mqtt.hub import Hub
from thingjobs.mqtt.limits import Limits
from thingjobs.mqtt.properties import MAX_REPETITIONS
from thingjobs.mqtt.session import PORTION
from thingjobs.mqtt.session_state import MAX_QUEUED_BYTES
from thingjobs.operations.planes import DevicePlane, Notifications
from thingjobs.settings import Settings
from thingjobs.store.batcher import Statistics
from thingjobs.store.store import Store
from thingjobs.wire.errors import ANSWERS, answer_for
from thingjobs.wire.shape_limits import upper_bounds

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


def cells(row: str) -> list[str]:
    return [cell.strip() for cell in row.strip("|").split("|")]


def must_be(shown: list[str], expected: list[str], where: str) -> None:
    assert shown == expected, "\n".join([f"{where} must have:", *expected])


# --- settings -----------------------------------------------------------------------------------


def documented_settings(command: str, *, shared: bool) -> Iterator[str]:
    """The row of each setting of a command; ``shared``: those of both commands, or those it has alone."""
    of_both = {field.name for field in fields(Settings)}
    for argument in app[command].assemble_argument_collection():
        if argument.keys and (argument.keys[0] in of_both) is shared:
            columns = (
                ", ".join(f"`{flag}`" for flag in argument.names),
                f"`THINGJOBS_{argument.keys[0].upper()}`",
                kind_of_value(argument),
                shown_default(argument.field_info.default),
                str(argument.parameter.help),
            )
            yield f"| {' | '.join(columns)} |"


def kind_of_value(argument: Any) -> str:
    if choices := argument.get_choices():
        return ", ".join(f"`{choice}`" for choice in choices)
    if argument.hint == dict[str, int]:
        return "integers by name"
    (hint,) = {argument.hint, *get_args(argument.hint)} & {Path, int, float, str, bool}
    kind = {Path: "path", int: "integer", float: "number", str: "text", bool: "switch"}[hint]
    bounds = [f", {rule.gte}–{rule.lte}" for rule in argument.parameter.validator]
    return f"{kind}{', several' * (argument.hint == tuple[str, ...])}{''.join(bounds)}"


def shown_default(default: object) -> str:
    if default is None or default == () or default == {}:
        return "–"
    if isinstance(default, tuple):
        return f"`{' '.join(default)}`"
    return {True: "on", False: "off"}[default] if isinstance(default, bool) else f"`{default}`"


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


def test_every_quota_is_documented_with_its_default() -> None:
    expected = {
        f"`{each.name}`": f"`{getattr(DEFAULT_QUOTAS, each.name)}`" for each in fields(DEFAULT_QUOTAS)
    }
    shown = rows(section(read("docs/configuration.md"), "## Quotas"))
    assert {name: default for name, default, _ in map(cells, shown)} == expected


def test_every_limit_of_requests_is_documented_with_its_default() -> None:
    expected = [(f"`{name}`", f"`{bound.default}`") for name, bound in upper_bounds().items()]
    shown = rows(section(read("docs/configuration.md"), "## Limits of requests"))
    assert [(name, default) for name, default, _ in map(cells, shown)] == expected


def test_every_request_rate_is_documented_with_its_default() -> None:
    expected = {f"`{name}`": f"`{rate}`" for name, rate in REQUEST_RATES.items()}
    shown = rows(section(read("docs/configuration.md"), "## Request rates"))
    assert {name: default for name, default, _ in map(cells, shown)} == expected


def commands(of: Any, *names: str) -> Iterator[str]:
    for name in of:
        if name.startswith("-"):
            continue
        if list(of[name]) == ["--help", "-h", "--version"]:
            yield " ".join((*names, name))
        else:
            yield from commands(of[name], *names, name)


def test_every_command_is_documented() -> None:
    page = section(read("docs/configuration.md"), "## Other commands")
    shown = {re.sub(r" [A-Z_]+", "", name.removeprefix("thingjobs ")) for name in names(page)}
    assert shown | {"dev", "serve"} == set(commands(app))


def test_every_exit_code_is_documented() -> None:
    expected = [f"| `{code:d}` | {meaning} |" for code, meaning in MEANING.items()]
    must_be(rows(section(read("docs/jobs.md"), "## Exit codes")), expected, "jobs.md, exit codes")


def test_page_about_jobs_has_its_commands() -> None:
    shown = {re.sub(r" [A-Z_]+", "", name) for name in names(read("docs/jobs.md").partition("## Where")[0])}
    assert shown == {f"thingjobs {name}" for name in commands(app) if name.startswith("jobs ")}


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
    served = re.findall(r'\("(GET|POST)", b"(/-/[^"]+)"\)', (SOURCE / "http" / "admin.py").read_text())
    page = section(read("docs/operations.md"), "## Health and readiness")
    shown = [(method, name.strip("`")) for name, method, *_ in map(cells, rows(page))]
    assert sorted(shown) == sorted(served)


def test_every_metric_is_documented() -> None:
    class NoStore:
        statistics = (Statistics(), Statistics())

    hub = Hub(
        ByRole(), cast(DevicePlane, None), cast(Notifications, None), Throttle(None, lambda: 0.0), lambda: 0
    )
    text = Metrics(cast(Store, NoStore()), hub, lambda: 0).text().decode()
    served = {
        (f"`{name}`", kind)
        for name, kind in re.findall(r"^# TYPE (\w+) (\w+)", text, re.MULTILINE)
        if not name.endswith("_created")
    }
    page = section(read("docs/operations.md"), "## Metrics")
    assert {(name, kind) for name, kind, _ in map(cells, rows(page))} == served


def test_every_event_of_the_log_is_documented() -> None:
    code = "".join(file.read_text(encoding="utf-8") for file in SOURCE.rglob("*.py"))
    logged = set(re.findall(r'\blog\.\w+\)?\(\s*"(\w+)"', code))
    assert set(names(section(read("docs/operations.md"), "## Logs"))) == logged


# --- MQTT -------------------------------------------------------------------------------------------


def test_every_limit_of_mqtt_is_documented_with_its_value() -> None:
    limits = Limits()
    page = section(read("docs/mqtt.md"), "## Limits")
    shown = {name.strip("`"): limit.split(" ")[0] for name, limit, *_ in map(cells, rows(page))}
    assert shown == {name: f"{getattr(limits, name):,}" for name in Limits.__struct_fields__}


def test_other_bounds_of_mqtt_are_documented() -> None:
    page = read("docs/mqtt.md")
    for size in (MAX_RETAINED_BYTES, MAX_QUEUED_BYTES, MAX_UNSENT):
        assert f" {size >> 20} MiB" in page
    for count in (MAX_RETAINED, MAX_FILTERS, MAX_REPETITIONS, PORTION, sigv4_query.MAX_EXPIRES_SECONDS):
        assert f" {count:,} " in page


def test_every_code_of_a_rejection_is_documented() -> None:
    codes = {answer.mqtt_code for answer in (*ANSWERS.values(), answer_for(Exception()))}
    never_sent = {"InvalidTopic"}
    assert set(names(section(read("docs/mqtt.md"), "## Topics of the Jobs service"))) >= codes - never_sent


# --- the house ----------------------------------------------------------------------------------------


def test_house_shows_every_package_and_module() -> None:
    house = section(read("docs/architecture.md"), "## The house")
    shown = dict(re.findall(r"^  ([\w.]+)/? +(.*)", house, re.MULTILINE))
    there = {
        path.name for path in SOURCE.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()
    }
    assert shown.keys() == there - {"__init__.py", "__main__.py"}


def test_layers_shown_are_those_that_are_checked() -> None:
    contracts = tomllib.loads(read("pyproject.toml"))["tool"]["importlinter"]["contracts"]
    (layers,) = [contract["layers"] for contract in contracts if contract["type"] == "layers"]
    expected = " → ".join(layer.replace("thingjobs.", "").replace("|", "·") for layer in layers)
    assert f"```text\n{expected}\n```" in section(read("docs/architecture.md"), "## Who may import whom")


def test_every_table_of_the_store_is_shown() -> None:
    schema = (SOURCE / "store" / "schema.sqlite.sql").read_text(encoding="utf-8")
    page = section(read("docs/architecture.md"), "## The store")
    must_be(names(page), re.findall(r"CREATE TABLE (\w+)", schema), "architecture.md, the store")


# --- what tools write ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tool", "page"), [("diagrams.py", "lifecycle.md"), ("compatibility.py", "compatibility.md")]
)
def test_page_is_what_its_tool_writes(tool: str, page: str) -> None:
    """Transitions and examples by the rules that run; operations by the table of dispatch."""
    command = [sys.executable, str(ROOT / "tools" / tool), "--check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"make regen writes another {page}:\n{done.stdout}{done.stderr}"


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


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_row_belongs_to_a_table(page: Path) -> None:
    """A blank line inside a table makes text of the rows below it."""
    prose = re.sub(r"^ *```.*?^ *```", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    for table in re.findall(r"(?:^\|.*\n)+", prose, re.MULTILINE):
        lines = table.splitlines()
        assert len(lines) > 1, table
        assert re.fullmatch(r"\|( ?:?-+:? ?\|)+", lines[1]), table
