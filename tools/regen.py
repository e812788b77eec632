"""Write the wire shapes and the route table from the installed botocore service models.

    python tools/regen.py            writes src/thingjobs/wire/shapes/*.py and src/thingjobs/wire/routes.py
    python tools/regen.py --check    writes nothing; exits 1 and shows the difference if anything would change

The service model is taken for facts: names, types, constraints, HTTP bindings. Facts that it does not carry
are the three tables below (``CONSTRAINTS``, ``ENUM_ORDER``, ``EXTRA_MEMBERS``); nothing else is added here.
"""

from __future__ import annotations

import argparse
import difflib
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NotRequired, TypedDict, cast

from botocore.loaders import Loader

WIRE = Path(__file__).resolve().parent.parent / "src" / "thingjobs" / "wire"
LINE = 110

# --- what is generated --------------------------------------------------------------------------

JOBS = """
    AssociateTargetsWithJob CancelJob CancelJobExecution CreateJob DeleteJob DeleteJobExecution DescribeJob
    DescribeJobExecution GetJobDocument ListJobExecutionsForJob ListJobExecutionsForThing ListJobs UpdateJob
    CreateJobTemplate DescribeJobTemplate ListJobTemplates DeleteJobTemplate
    ListManagedJobTemplates DescribeManagedJobTemplate
"""
REGISTRY = """
    CreateThing DescribeThing UpdateThing DeleteThing ListThings
    CreateThingGroup DescribeThingGroup UpdateThingGroup DeleteThingGroup ListThingGroups
    AddThingToThingGroup RemoveThingFromThingGroup UpdateThingGroupsForThing
    ListThingGroupsForThing ListThingsInThingGroup
    CreateThingType DescribeThingType UpdateThingType DeprecateThingType DeleteThingType ListThingTypes
    AttachThingPrincipal DetachThingPrincipal ListThingPrincipals ListPrincipalThings
"""
OTHERS = """
    DescribeEndpoint TagResource UntagResource ListTagsForResource
    DescribeEventConfigurations UpdateEventConfigurations
"""
DEVICE = "GetPendingJobExecutions StartNextPendingJobExecution DescribeJobExecution UpdateJobExecution"


@dataclass(frozen=True)
class Service:
    """One service model; ``plane`` is where it is served, ``with_shapes`` which operations get Structs."""

    name: str
    module: str
    plane: str
    with_shapes: tuple[str, ...]
    omit_unset: bool


SERVICES = (
    Service("iot", "iot", "CONTROL", tuple((JOBS + REGISTRY + OTHERS).split()), omit_unset=False),
    Service("iot-jobs-data", "iot_jobs_data", "DEVICE", tuple(DEVICE.split()), omit_unset=True),
)

# --- facts that the model does not carry ----------------------------------------------------------

CONSTRAINTS: Mapping[str, Mapping[str, int | bool]] = {
    # Observed: 1001 is refused with "less than or equal to 1000".
    "MaxJobExecutionsPerMin": {"max": 1000},
    # The prose of the model: at most ten details, 1,024 characters each.
    "DetailsMap": {"max": 10},
    "DetailsValue": {"max": 1024},
    # Developer guide: at most 25 package versions.
    "DestinationPackageVersions": {"max": 25},
    # The documentation shows these two as strings in some places and as numbers in others.
    "ExpectedVersion": {"decimal_text": True},
    "ExecutionNumber": {"decimal_text": True},
}

# The order in which the service prints enums (observed); the model's order differs.
ENUM_ORDER: Mapping[str, tuple[str, ...]] = {
    "JobExecutionFailureType": ("ALL", "TIMED_OUT", "FAILED", "REJECTED"),
    "RetryableFailureType": ("ALL", "TIMED_OUT", "FAILED"),
    "JobExecutionStatus": (
        "REMOVED",
        "SUCCEEDED",
        "TIMED_OUT",
        "IN_PROGRESS",
        "QUEUED",
        "CANCELED",
        "FAILED",
        "REJECTED",
    ),
}

# Output members that the documentation shows and the model lacks; left out of an answer while UNSET.
EXTRA_MEMBERS: Mapping[str, Mapping[str, str]] = {"JobExecutionStatusDetails": {"status": "str"}}

# --- Java's character classes in Python's words -----------------------------------------------------

# Unicode categories Cc, Cf, Cs and Co, spelled out because Python's ``re`` has no \p{C}. Unassigned code
# points (Cn) are let through: which those are depends on the Unicode version.
OTHER = (
    r"\x00-\x1f\x7f-\x9f"
    r"\xad\u0600-\u0605\u061c\u06dd\u070f\u0890\u0891\u08e2\u180e\u200b-\u200f\u202a-\u202e\u2060-\u2064"
    r"\u2066-\u206f\ufeff\ufff9-\ufffb\U000110bd\U000110cd\U00013430-\U0001343f\U0001bca0-\U0001bca3"
    r"\U0001d173-\U0001d17a\U000e0001\U000e0020-\U000e007f"
    r"\ud800-\udfff\ue000-\uf8ff\U000f0000-\U000ffffd\U00100000-\U0010fffd"
)
CHARACTER_CLASSES = {
    # Letters and numbers together are \w without its underscore, which TagKey allows anyway.
    r"\p{L}\p{Z}\p{N}_": r"\w\x20\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000",
    r"\p{Upper}": "A-Z",
    r"\p{Digit}": "0-9",
    r"\p{Graph}": "!-~",
}


def python_pattern(java: str) -> str:
    """The expression, as Python source, that matches exactly the strings that ``java`` matches whole."""
    body, ascii_only = java, any(name in java for name in (r"\w", r"\d", r"\s"))
    for name, members in CHARACTER_CLASSES.items():
        body = body.replace(name, members)
    group = "(?a:" if ascii_only else "(?:"
    if r"\p{C}" not in body:
        source = f'r"\\A{group}{body})\\Z"'
    else:
        escaped = body.replace("{", "{{").replace("}", "}}").replace(r"\p{{C}}", "{OTHER}")
        source = f'rf"\\A{group}{escaped})\\Z"'
    if r"\p{" in source:
        raise ValueError(f"no translation for {java!r}")
    return source


# --- reading the model ------------------------------------------------------------------------------


class Reference(TypedDict):
    shape: str
    location: NotRequired[str]
    locationName: NotRequired[str]


class Shape(TypedDict):
    type: str
    members: NotRequired[dict[str, Reference]]
    required: NotRequired[list[str]]
    member: NotRequired[Reference]
    key: NotRequired[Reference]
    value: NotRequired[Reference]
    enum: NotRequired[list[str]]
    min: NotRequired[float]
    max: NotRequired[float]
    pattern: NotRequired[str]
    decimal_text: NotRequired[bool]


class Operation(TypedDict):
    http: dict[str, str]
    input: NotRequired[Reference]
    output: NotRequired[Reference]


@dataclass
class Model:
    service: Service
    version: str
    shapes: dict[str, Shape]
    operations: dict[str, Operation]
    inputs: dict[str, None] = field(default_factory=dict)  # insertion order is dependency order
    outputs: dict[str, None] = field(default_factory=dict)

    @classmethod
    def load(cls, service: Service) -> Model:
        raw = Loader().load_service_model(service.name, "service-2")
        shapes = cast("dict[str, Shape]", raw["shapes"])
        for name, facts in CONSTRAINTS.items():
            if name in shapes:
                cast("dict[str, object]", shapes[name]).update(facts)
        for name, order in ENUM_ORDER.items():
            if name not in shapes:
                continue
            if sorted(shapes[name]["enum"]) != sorted(order):
                raise ValueError(f"ENUM_ORDER of {name} no longer has the members of the model")
            shapes[name]["enum"] = list(order)
        model = cls(service, raw["metadata"]["apiVersion"], shapes, raw["operations"])
        for operation in sorted(service.with_shapes):
            model.reach(model.operations[operation].get("input"), model.inputs)
            model.reach(model.operations[operation].get("output"), model.outputs)
        return model

    def reach(self, start: Reference | None, found: dict[str, None]) -> None:
        """Add everything that ``start`` is made of to ``found``, parts before wholes."""
        if start is None or start["shape"] in found:
            return
        shape = self.shapes[start["shape"]]
        elements = (shape.get("member"), shape.get("key"), shape.get("value"))
        for part in (*elements, *shape.get("members", {}).values()):
            self.reach(part, found)
        found[start["shape"]] = None


# --- shapes -----------------------------------------------------------------------------------------

PLAIN = {
    "string": "str",
    "integer": "int",
    "long": "int",
    "double": "float",
    "boolean": "bool",
}
BOUNDS = {"integer": 2**31, "long": 2**63}


def snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


def camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(part.capitalize() for part in rest)


def checks(name: str, shape: Shape) -> list[str]:
    """The arguments of ``Meta`` for this shape; one with an upper bound is given its name, to be set by."""
    found = constraints(shape)
    return [f'title="{name}"', *found] if "max" in shape else found


def constraints(shape: Shape) -> list[str]:
    kind = shape["type"]
    if kind in BOUNDS:
        found = [f"ge={shape.get('min', -BOUNDS[kind])}", f"le={shape.get('max', BOUNDS[kind] - 1)}"]
        return [*found, 'extra={"decimal_text": True}'] if shape.get("decimal_text") else found
    if kind == "double":
        found = [f"ge={shape['min']}"] if "min" in shape else []
        return [*found, f"le={shape['max']}"] if "max" in shape else found
    found = [f"min_length={shape['min']}"] if shape.get("min") else []
    found += [f"max_length={shape['max']}"] if "max" in shape else []
    if "pattern" in shape and shape["pattern"] != r"[\s\S]*":
        found.append(f"pattern={python_pattern(shape['pattern'])}")
        found.append(f'extra={{"pattern": r"{shape["pattern"]}"}}')
    return found


class ShapeWriter:
    """Writes one module of Structs and constrained aliases."""

    def __init__(self, model: Model) -> None:
        self.model = model
        self.aliases: set[str] = set()

    def module(self) -> str:
        service = self.model.service
        blocks = [self.definition(name, output_only=False) for name in self.model.inputs]
        blocks += [
            self.definition(name, output_only=True)
            for name in self.model.outputs
            if name not in self.model.inputs
        ]
        text = ""
        after_class = True
        for block in filter(None, blocks):
            is_class = block[0].startswith("class ")
            text += ("\n\n" if is_class or after_class else "") + "\n".join(block) + "\n"
            after_class = is_class
        options, base = 'frozen=True, gc=False, rename="camel"', "unset members are written as null"
        if service.omit_unset:
            options, base = f"{options}, omit_defaults=True", "unset members are left out"
        imported = ["Meta", "Struct"]
        if "UNSET" in text:
            imported = ["UNSET", *imported, "UnsetType"]
        return "\n".join(
            [
                *header(f'"{service.name}" ({self.model.version})'),
                f'"""What requests and answers of ``{service.name}`` carry."""',
                "",
                "from typing import Annotated, Literal",
                "",
                f"from msgspec import {', '.join(imported)}",
                "",
                "# \\p{C} but for unassigned code points: let through, they differ by Unicode version.",
                "OTHER = (",
                *(f'    r"{part}"' for part in split_classes(OTHER)),
                ")",
                "",
                "",
                f"class Shape(Struct, {options}):",
                f'    """Base of all shapes: {base}."""',
                text,
            ]
        )

    def definition(self, name: str, *, output_only: bool) -> list[str]:
        """The lines that define ``name``; none when a plain type does, or an answer has nothing in it."""
        shape = self.model.shapes[name]
        if shape["type"] == "structure":
            return self.structure(name, shape, output_only=output_only)
        right = None if output_only else self.alias(name, shape)
        if right is None:
            return []
        self.aliases.add(name)
        return list(lay_out(right, before=f"{name} = "))

    def alias(self, name: str, shape: Shape) -> Call | None:
        """A type with its constraints; None when a plain type says it all."""
        if "enum" in shape:
            return Call("Literal[", [f'"{value}"' for value in shape["enum"]], "]")
        found = checks(name, shape)
        if not found:
            return None
        plain = self.written_out(shape, output_only=False)
        return Call("Annotated[", [plain, Call("Meta(", found, ")")], "]")

    def type_of(self, name: str, *, output_only: bool) -> str:
        if not output_only and name in self.aliases:
            return name
        shape = self.model.shapes[name]
        return name if shape["type"] == "structure" else self.written_out(shape, output_only=output_only)

    def written_out(self, shape: Shape, *, output_only: bool) -> str:
        if shape["type"] == "list":
            return f"list[{self.type_of(shape['member']['shape'], output_only=output_only)}]"
        if shape["type"] == "map":
            key = self.type_of(shape["key"]["shape"], output_only=output_only)
            value = self.type_of(shape["value"]["shape"], output_only=output_only)
            return f"dict[{key}, {value}]"
        if shape["type"] == "timestamp":
            return "float"
        return PLAIN[shape["type"]]

    def structure(self, name: str, shape: Shape, *, output_only: bool) -> list[str]:
        members = shape.get("members", {})
        if output_only and not members:
            return []
        options = "Shape, kw_only=True, frozen=True"
        if any(camel(snake(member)) != member for member in members):
            names = ", ".join(f'"{snake(member)}": "{member}"' for member in members)
            options += f", rename={{{names}}}"
        lines = [f"class {name}({options}):"]
        for member, reference in members.items():
            kind = self.type_of(reference["shape"], output_only=output_only)
            unset = "" if member in shape.get("required", []) else " | None = None"
            lines.append(f"    {snake(member)}: {kind}{unset}")
        for member, kind in EXTRA_MEMBERS.get(name, {}).items():
            lines.append(f"    {snake(member)}: {kind} | UnsetType = UNSET")
        return lines if len(lines) > 1 else [*lines, "    pass"]


def split_classes(text: str) -> list[str]:
    """Cut a long character class into lines, between escapes."""
    lines = [""]
    for part in re.findall(r"\\(?:x..|u.{4}|U.{8})(?:-\\(?:x..|u.{4}|U.{8}))?", text):
        if len(lines[-1]) + len(part) > LINE - 10:
            lines.append("")
        lines[-1] += part
    return lines


def header(source: str) -> list[str]:
    return [
        f"# Generated by tools/regen.py from botocore's {source}.",
        "# Do not edit: run `make regen`.",
    ]


# --- routes -----------------------------------------------------------------------------------------

PLACES = {"uri": "path", "querystring": "query", "header": "header"}
READERS = {"string": "STRING", "integer": "LONG", "long": "LONG", "boolean": "BOOLEAN"}


def routes_module(models: Sequence[Model]) -> str:
    sources = " and ".join(f'"{model.service.name}" ({model.version})' for model in models)
    lines = [
        *header(sources),
        '"""Every operation of the two services: where it is found and, with shapes, what it carries."""',
        "",
        "from thingjobs.wire.operation import Operation, Param, Plane, Reader",
        "from thingjobs.wire.shapes import iot, iot_jobs_data",
        "",
        "CONTROL, DEVICE = Plane.CONTROL, Plane.DEVICE",
        "STRING, LONG, BOOLEAN = Reader.STRING, Reader.LONG, Reader.BOOLEAN",
        "",
        "OPERATIONS = (",
    ]
    for model in models:
        for name in sorted(model.operations):
            lines += lay_out(Call("Operation(", route(model, name), ")"), indent=4, after=",")
    return "\n".join([*lines, ")", ""])


def route(model: Model, name: str) -> list[str | Call]:
    """The arguments of one ``Operation``."""
    operation, service = model.operations[name], model.service
    http = operation["http"]
    found: list[str | Call] = [service.plane, f'"{name}"', f'"{http["method"]}"', f'"{http["requestUri"]}"']
    if name not in service.with_shapes:
        return found
    request = operation["input"]["shape"]
    found.append(f"request={service.module}.{request}")
    if "output" in operation and model.shapes[operation["output"]["shape"]].get("members"):
        found.append(f"response={service.module}.{operation['output']['shape']}")
    members = model.shapes[request].get("members", {})
    for location, place in PLACES.items():
        params: list[str | Call] = [
            f'Param("{reference.get("locationName", member)}", "{member}", '
            f"{READERS[model.shapes[reference['shape']]['type']]})"
            for member, reference in members.items()
            if reference.get("location") == location
        ]
        if params:
            found.append(Call(f"{place}=(", params, ")"))
    if any("location" not in reference for reference in members.values()):
        found.append("has_body=True")
    return found


# --- laying out code as the formatter would -----------------------------------------------------------


@dataclass(frozen=True)
class Call:
    """Anything in brackets: on one line if it fits, else one argument a line."""

    opening: str
    arguments: Sequence[str | Call]
    closing: str

    def __str__(self) -> str:
        inner = ", ".join(str(argument) for argument in self.arguments)
        lonely = self.opening.endswith("=(") and len(self.arguments) == 1
        return f"{self.opening}{inner}{',' if lonely else ''}{self.closing}"


def lay_out(code: str | Call, *, indent: int = 0, before: str = "", after: str = "") -> Iterator[str]:
    margin = " " * indent
    one = f"{margin}{before}{code}{after}"
    if isinstance(code, str) or len(one) <= LINE:
        yield one
        return
    yield f"{margin}{before}{code.opening}"
    inner = f"{margin}    {', '.join(str(argument) for argument in code.arguments)}"
    if len(inner) <= LINE and "=(" not in code.opening:
        yield inner
    else:
        for argument in code.arguments:
            yield from lay_out(argument, indent=indent + 4, after=",")
    yield f"{margin}{code.closing}{after}"


# --- the command ------------------------------------------------------------------------------------


def generate() -> dict[Path, str]:
    """Every generated file and its text."""
    models = [Model.load(service) for service in SERVICES]
    files = {WIRE / "shapes" / f"{model.service.module}.py": ShapeWriter(model).module() for model in models}
    return {**files, WIRE / "routes.py": routes_module(models)}


def difference(path: Path, new: str) -> str:
    old = path.read_text(encoding="utf-8") if path.exists() else ""
    names = (f"{path.name} (stored)", f"{path.name} (generated)")
    return "".join(difflib.unified_diff(old.splitlines(True), new.splitlines(True), *names))


def main() -> int:
    parser = argparse.ArgumentParser(description="Write the wire shapes and the route table.")
    parser.add_argument("--check", action="store_true", help="compare only; exit 1 on a difference")
    files = generate()
    if parser.parse_args().check:
        changes = [change for path, text in files.items() if (change := difference(path, text))]
        sys.stdout.writelines(changes)
        return 1 if changes else 0
    for path, text in files.items():
        path.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
