"""The rules of things, thing types and thing groups: what may be, what follows, and what to say if not.

Source: the service model's prose, the developer guide's registry chapter and its quotas; sentences marked
"unverified" are ours, the others were seen in answers of the service.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from thingjobs.domain.arn import parse_arn
from thingjobs.domain.errors import InvalidRequest, ResourceNotFound, VersionConflict
from thingjobs.domain.model import GroupKey, Thing, ThingGroup, ThingType
from thingjobs.domain.quotas import Quotas

MINUTE_MS = 60_000


class Membership(NamedTuple):
    """A group a thing is in, and the root of its hierarchy."""

    group_key: GroupKey
    group_name: str
    root_key: GroupKey


# --- attributes ---------------------------------------------------------------------------------


def with_attributes(
    stored: Mapping[str, str], given: Mapping[str, str] | None, *, merge: bool
) -> Mapping[str, str]:
    """``stored`` as it is after ``given``, which takes its place unless it is to be merged.

    An empty value removes its key. None gives nothing, and changes nothing.
    """
    if given is None:
        return stored
    together = {**stored, **given} if merge else given
    return {key: value for key, value in together.items() if value}


def check_thing_attributes(attributes: Mapping[str, str], type_name: str | None, quotas: Quotas) -> None:
    if type_name is None and len(attributes) > quotas.attributes_without_thing_type:
        raise InvalidRequest(
            "Too many attributes specified. The maximum number of attributes allowed for a thing without a "
            f"thing type is {quotas.attributes_without_thing_type}"
        )  # unverified
    if len(attributes) > quotas.attributes_per_thing:
        raise InvalidRequest(
            "Too many attributes specified. The maximum number of attributes allowed for a thing is "
            f"{quotas.attributes_per_thing}"
        )  # unverified


def check_group_attributes(attributes: Mapping[str, str], quotas: Quotas) -> None:
    if len(attributes) > quotas.attributes_per_thing_group:
        raise InvalidRequest(
            "Too many attributes specified. The maximum number of attributes allowed for a thing group is "
            f"{quotas.attributes_per_thing_group}"
        )


# --- things -------------------------------------------------------------------------------------


def check_thing_version(thing: Thing, expected: int | None) -> None:
    if expected is not None and expected != thing.version:
        raise VersionConflict(f"The version for thing {thing.name} does not match the expected version.")


def update_thing(
    thing: Thing,
    *,
    type_name: str | None,
    removes_type: bool,
    attributes: Mapping[str, str] | None,
    merge: bool,
    quotas: Quotas,
) -> Thing:
    """The thing with another type or none, and with other attributes. Errors: InvalidRequest."""
    if removes_type and type_name is not None:
        raise InvalidRequest(
            "A thing type cannot be specified together with the removal of the thing type"
        )  # unverified
    after = replace(
        thing,
        type_name=None if removes_type else type_name or thing.type_name,
        attributes=with_attributes(thing.attributes, attributes, merge=merge),
        version=thing.version + 1,
    )
    check_thing_attributes(after.attributes, after.type_name, quotas)
    return after


# --- thing types --------------------------------------------------------------------------------


def thing_type_not_found(account: str, name: str) -> ResourceNotFound:
    return ResourceNotFound(f"Thing Type {account}:{name} not found.")


def check_searchable_attributes(names: Sequence[str], quotas: Quotas) -> None:
    if len(names) > quotas.searchable_attributes:
        raise InvalidRequest(
            "Too many searchable attributes specified. The maximum number of searchable attributes allowed "
            f"for a thing type is {quotas.searchable_attributes}"
        )  # unverified


def check_type_assignable(thing_type: ThingType) -> None:
    if thing_type.deprecated_at is not None:
        raise InvalidRequest(
            f"Can not associate thing with deprecated thing type {thing_type.name}"
        )  # unverified


def check_type_deletable(thing_type: ThingType, *, in_use: bool, quotas: Quotas, now: int) -> None:
    """A type goes only after it was deprecated for a while and no thing has it any more."""
    if thing_type.deprecated_at is None:
        raise InvalidRequest(
            f"Can not delete thing type {thing_type.name} that is not deprecated"
        )  # unverified
    if in_use:
        raise InvalidRequest(f"Can not delete thing type {thing_type.name} with things associated with it")
    delay = quotas.thing_type_deletion_minutes
    if now < thing_type.deprecated_at + delay * MINUTE_MS:
        raise InvalidRequest(
            f"Please wait for {delay} minutes after deprecation and then retry"
        )  # unverified


# --- thing groups -------------------------------------------------------------------------------


def group_to_use_not_found(account: str, name: str) -> ResourceNotFound:
    """The sentence of operations that work with a group's things or children."""
    return ResourceNotFound(
        f"Cannot find requested thing group for accountId: {account} and thing group name: {name}"
    )


def check_group_version(group: ThingGroup, expected: int | None) -> None:
    if expected is not None and expected != group.version:
        raise VersionConflict(
            f"The version for thing group {group.name} does not match the expected version."
        )  # unverified


def check_may_have_child(parent: ThingGroup, children: int, quotas: Quotas) -> None:
    """Whether a group that has ``children`` may get one more."""
    if parent.depth >= quotas.thing_group_depth:
        raise InvalidRequest(
            f"Cannot create group below thing group {parent.name}: a hierarchy of thing groups can be no "
            f"deeper than {quotas.thing_group_depth}"
        )  # unverified
    if children >= quotas.child_groups:
        raise InvalidRequest(
            f"Cannot create group below thing group {parent.name}: it has {quotas.child_groups}"
            " child groups, the maximum"
        )  # unverified


def check_may_join(
    thing_name: str, group_name: str, root: GroupKey, present: Iterable[Membership], quotas: Quotas
) -> None:
    """Whether a thing in the groups ``present`` may join one whose hierarchy has ``root``."""
    count = 0
    for membership in present:
        count += 1
        if membership.root_key == root:
            raise InvalidRequest(
                f"Thing {thing_name} cannot be added to thing group {group_name}: it is in "
                f"{membership.group_name}, a thing group of the same hierarchy"
            )  # unverified
    if count >= quotas.thing_groups_per_thing:
        raise InvalidRequest(
            f"Thing {thing_name} cannot be added to thing group {group_name}: it is in"
            f" {quotas.thing_groups_per_thing} thing groups, the maximum"
        )  # unverified


def update_group(
    group: ThingGroup,
    *,
    description: str | None,
    attributes: Mapping[str, str] | None,
    merge: bool,
    quotas: Quotas,
) -> ThingGroup:
    """The group with another description, if one is given, and other attributes. Errors: InvalidRequest."""
    after = replace(
        group,
        description=group.description if description is None else description,
        attributes=with_attributes(group.attributes, attributes, merge=merge),
        version=group.version + 1,
    )
    check_group_attributes(after.attributes, quotas)
    return after


# --- things and groups named by name or ARN -----------------------------------------------------


class Naming(NamedTuple):
    """How a request may name a thing or group, and what to say when it does so badly."""

    kind: str
    nothing_given: str
    wrong_kind: str
    names_differ: str


THING = Naming(
    "thing",
    "Both thingArn and thingName are empty. Need to specify at least one of them",
    "Invalid ThingArn",
    "ThingName in thingArn does not match specified thingName in request",
)
THING_GROUP = Naming(
    "thinggroup",
    "Both thingGroupArn and thingGroupName are empty. Need to specify at least one of them",
    "Invalid ThingGroupArn",
    "ThingGroupName from thingGroupArn does not match specified thingGroupName in request",
)
FOREIGN_ACCOUNT = "ResourceArn doesn't belong in requester's account"
INVALID_ARN = "Invalid arn in request"


def name_of(naming: Naming, name: str | None, arn: str | None, *, account: str) -> str:
    """The name that is meant; an ARN of another region means the resource of that name in this one.

    Errors: InvalidRequest.
    """
    if not arn:
        if not name:
            raise InvalidRequest(naming.nothing_given)
        return name
    parsed = parse_arn(arn)
    if parsed is None:
        raise InvalidRequest(INVALID_ARN)
    if parsed.kind != naming.kind:
        raise InvalidRequest(naming.wrong_kind)
    if parsed.account != account:
        raise InvalidRequest(FOREIGN_ACCOUNT)
    if name and name != parsed.name:
        raise InvalidRequest(naming.names_differ)
    return parsed.name
