"""Write the lists of operations in docs/compatibility.md from the table that requests are dispatched by.

    python tools/compatibility.py            writes docs/compatibility.md
    python tools/compatibility.py --check    writes nothing; exits 1 and shows the difference if there is one

What is not served is listed by subject: ``SUBJECTS`` says by what an operation's name is recognized.
"""

from __future__ import annotations

import re
import sys
import textwrap
from collections.abc import Iterator, Mapping, Sequence

import pages
from thingjobs.auth.keys import Role
from thingjobs.http.served import SERVICES, Listed, listed
from thingjobs.wire.operation import Plane

WIDTH = 120
ACCESS_KEY = {Role.READ_ONLY: "any", Role.ADMIN: "admin"}

# The first that matches counts.
SUBJECTS: Mapping[str, str] = {
    "Commands": "Command",
    "Over-the-air updates and streams": "OTAUpdate|Stream",
    "Software packages": "Package|Sbom",
    "Dynamic groups and billing groups": "DynamicThingGroup|BillingGroup",
    "Fleet indexing and metrics": (
        "Ind(ex|ices)|FleetMetric|Cardinality|Percentiles|Statistics|Aggregation|Connectivity"
    ),
    "Device Defender: audits": "Audit(?!MitigationAction)",
    "Device Defender: detection": "SecurityProfile|Violation|CustomMetric|Dimension|MetricValues|Behavior",
    "Device Defender: mitigation": "MitigationAction",
    "Certificates": "Certificate|RegistrationCode",
    "Policies and principals": "Polic(y|ies)|Principal|TestAuthorization",
    "Authorizers and role aliases": "Authorizer|RoleAlias",
    "Provisioning": "Provisioning|ThingRegistration|RegisterThing",
    "Rules": "TopicRule",
    "Domains, encryption, logs": "Domain|Encryption|Logging",
}


def numbers_of_operations() -> str:
    rows = []
    for plane in Plane:
        served = [operation.served for operation in listed() if operation.plane is plane]
        rows.append([f"`{SERVICES[plane]}`", *map(str, (len(served), sum(served), served.count(False)))])
    return pages.table(["Service", "Operations", "Served", "Not served"], rows)


def served_control_plane() -> str:
    return served(Plane.CONTROL)


def served_device_plane() -> str:
    return served(Plane.DEVICE)


def served(plane: Plane) -> str:
    rows = [
        [f"`{operation.name}`", f"`{operation.method} {operation.uri}`", ACCESS_KEY[operation.role]]
        for operation in listed()
        if operation.plane is plane and operation.role
    ]
    return pages.table(["Operation", "Request", "Access key"], rows)


def not_served() -> str:
    """A paragraph for each subject, with all its operations by name."""
    by_subject: dict[str, list[Listed]] = {subject: [] for subject in SUBJECTS}
    for operation in listed():
        if not operation.served:
            by_subject[subject_of(operation.name)].append(operation)
    return "\n\n".join(paragraphs(by_subject)) + "\n"


def paragraphs(by_subject: Mapping[str, Sequence[Listed]]) -> Iterator[str]:
    for subject, operations in by_subject.items():
        if operations:
            names = ", ".join(
                f"`{operation.name}`{' (device plane)' * (operation.plane is Plane.DEVICE)}"
                for operation in operations
            )
            text = f"**{subject}** ({len(operations)}): {names}"
            yield textwrap.fill(text, WIDTH, break_long_words=False, break_on_hyphens=False)


def subject_of(operation_name: str) -> str:
    """Errors: ValueError for an operation that no subject knows."""
    for subject, pattern in SUBJECTS.items():
        if re.search(pattern, operation_name):
            return subject
    raise ValueError(f"no subject of SUBJECTS knows {operation_name}")


BLOCKS = (numbers_of_operations, served_control_plane, served_device_plane, not_served)

if __name__ == "__main__":
    sys.exit(pages.main("compatibility.md", BLOCKS))
