"""The registry as a caller sees it, without what a case does not mention."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from thingjobs.domain.model import (
    Document,
    GroupKey,
    Job,
    JobConfig,
    JobKey,
    JobStatus,
    TargetSelection,
)
from thingjobs.operations import tags, thing_groups, thing_types, things
from thingjobs.operations.call import Call
from thingjobs.store.tx import Tx
from thingjobs.wire.shapes import iot

ACCOUNT = "123456789012"
REGION = "us-east-1"


def arn(kind: str, name: str, *, account: str = ACCOUNT, region: str = REGION) -> str:
    return f"arn:aws:iot:{region}:{account}:{kind}/{name}"


def tag(key: str, value: str | None = "v") -> iot.Tag:
    return iot.Tag(key=key, value=value)


class Registry:
    """Calls the operations in one scope at one instant."""

    def __init__(self, call: Call, tx: Tx) -> None:
        self.call = call
        self.tx = tx

    def at(self, now: int) -> Registry:
        return Registry(replace(self.call, now=now), self.tx)

    def in_region(self, region: str) -> Registry:
        scope = self.tx.scopes.get_or_create(self.call.scope.account, region)
        return Registry(replace(self.call, scope=scope), self.tx)

    # --- things -----------------------------------------------------------------------------------

    def create_thing(
        self, name: str, *, type_name: str | None = None, attributes: Mapping[str, str] | None = None
    ) -> iot.CreateThingResponse:
        return things.create_thing(
            self.call,
            self.tx,
            iot.CreateThingRequest(
                thing_name=name, thing_type_name=type_name, attribute_payload=payload(attributes)
            ),
        )

    def describe_thing(self, name: str) -> iot.DescribeThingResponse:
        return things.describe_thing(self.call, self.tx, iot.DescribeThingRequest(thing_name=name))

    def update_thing(
        self,
        name: str,
        *,
        type_name: str | None = None,
        attributes: Mapping[str, str] | None = None,
        merge: bool | None = None,
        expected_version: int | None = None,
        remove_type: bool | None = None,
    ) -> None:
        things.update_thing(
            self.call,
            self.tx,
            iot.UpdateThingRequest(
                thing_name=name,
                thing_type_name=type_name,
                attribute_payload=payload(attributes, merge=merge),
                expected_version=expected_version,
                remove_thing_type=remove_type,
            ),
        )

    def delete_thing(self, name: str, *, expected_version: int | None = None) -> None:
        request = iot.DeleteThingRequest(thing_name=name, expected_version=expected_version)
        things.delete_thing(self.call, self.tx, request)

    def list_things(
        self,
        *,
        token: str | None = None,
        limit: int | None = None,
        attribute: str | None = None,
        value: str | None = None,
        prefix: bool | None = None,
        type_name: str | None = None,
    ) -> iot.ListThingsResponse:
        return things.list_things(
            self.call,
            self.tx,
            iot.ListThingsRequest(
                next_token=token,
                max_results=limit,
                attribute_name=attribute,
                attribute_value=value,
                use_prefix_attribute_value=prefix,
                thing_type_name=type_name,
            ),
        )

    # --- thing types ------------------------------------------------------------------------------

    def create_type(
        self,
        name: str,
        *,
        description: str | None = None,
        searchable: Sequence[str] | None = None,
        with_tags: Sequence[iot.Tag] | None = None,
    ) -> iot.CreateThingTypeResponse:
        return thing_types.create_thing_type(
            self.call,
            self.tx,
            iot.CreateThingTypeRequest(
                thing_type_name=name,
                thing_type_properties=iot.ThingTypeProperties(
                    thing_type_description=description,
                    searchable_attributes=None if searchable is None else list(searchable),
                ),
                tags=None if with_tags is None else list(with_tags),
            ),
        )

    def describe_type(self, name: str) -> iot.DescribeThingTypeResponse:
        request = iot.DescribeThingTypeRequest(thing_type_name=name)
        return thing_types.describe_thing_type(self.call, self.tx, request)

    def list_types(
        self, *, name: str | None = None, token: str | None = None, limit: int | None = None
    ) -> iot.ListThingTypesResponse:
        request = iot.ListThingTypesRequest(thing_type_name=name, next_token=token, max_results=limit)
        return thing_types.list_thing_types(self.call, self.tx, request)

    def update_type(
        self, name: str, *, description: str | None = None, searchable: Sequence[str] | None = None
    ) -> None:
        thing_types.update_thing_type(
            self.call,
            self.tx,
            iot.UpdateThingTypeRequest(
                thing_type_name=name,
                thing_type_properties=iot.ThingTypeProperties(
                    thing_type_description=description,
                    searchable_attributes=None if searchable is None else list(searchable),
                ),
            ),
        )

    def deprecate_type(self, name: str, *, undo: bool | None = None) -> None:
        request = iot.DeprecateThingTypeRequest(thing_type_name=name, undo_deprecate=undo)
        thing_types.deprecate_thing_type(self.call, self.tx, request)

    def delete_type(self, name: str) -> None:
        thing_types.delete_thing_type(self.call, self.tx, iot.DeleteThingTypeRequest(thing_type_name=name))

    # --- thing groups -----------------------------------------------------------------------------

    def create_group(
        self,
        name: str,
        *,
        parent: str | None = None,
        description: str | None = None,
        attributes: Mapping[str, str] | None = None,
        merge: bool | None = None,
        with_tags: Sequence[iot.Tag] | None = None,
    ) -> iot.CreateThingGroupResponse:
        return thing_groups.create_thing_group(
            self.call,
            self.tx,
            iot.CreateThingGroupRequest(
                thing_group_name=name,
                parent_group_name=parent,
                thing_group_properties=iot.ThingGroupProperties(
                    thing_group_description=description,
                    attribute_payload=payload(attributes, merge=merge),
                ),
                tags=None if with_tags is None else list(with_tags),
            ),
        )

    def describe_group(self, name: str) -> iot.DescribeThingGroupResponse:
        request = iot.DescribeThingGroupRequest(thing_group_name=name)
        return thing_groups.describe_thing_group(self.call, self.tx, request)

    def update_group(
        self,
        name: str,
        *,
        description: str | None = None,
        attributes: Mapping[str, str] | None = None,
        merge: bool | None = None,
        expected_version: int | None = None,
    ) -> iot.UpdateThingGroupResponse:
        return thing_groups.update_thing_group(
            self.call,
            self.tx,
            iot.UpdateThingGroupRequest(
                thing_group_name=name,
                thing_group_properties=iot.ThingGroupProperties(
                    thing_group_description=description,
                    attribute_payload=payload(attributes, merge=merge),
                ),
                expected_version=expected_version,
            ),
        )

    def delete_group(self, name: str, *, expected_version: int | None = None) -> None:
        request = iot.DeleteThingGroupRequest(thing_group_name=name, expected_version=expected_version)
        thing_groups.delete_thing_group(self.call, self.tx, request)

    def list_groups(
        self,
        *,
        parent: str | None = None,
        prefix: str | None = None,
        recursive: bool | None = None,
        token: str | None = None,
        limit: int | None = None,
    ) -> iot.ListThingGroupsResponse:
        return thing_groups.list_thing_groups(
            self.call,
            self.tx,
            iot.ListThingGroupsRequest(
                parent_group=parent,
                name_prefix_filter=prefix,
                recursive=recursive,
                next_token=token,
                max_results=limit,
            ),
        )

    def group_key(self, name: str) -> GroupKey:
        group = self.tx.groups.find(self.call.scope.id, name)
        assert group is not None
        return group.key

    # --- members ----------------------------------------------------------------------------------

    def add(
        self,
        thing: str | None,
        group: str | None,
        *,
        thing_arn: str | None = None,
        group_arn: str | None = None,
    ) -> None:
        thing_groups.add_thing_to_thing_group(
            self.call,
            self.tx,
            iot.AddThingToThingGroupRequest(
                thing_name=thing, thing_group_name=group, thing_arn=thing_arn, thing_group_arn=group_arn
            ),
        )

    def remove(
        self,
        thing: str | None,
        group: str | None,
        *,
        thing_arn: str | None = None,
        group_arn: str | None = None,
    ) -> None:
        thing_groups.remove_thing_from_thing_group(
            self.call,
            self.tx,
            iot.RemoveThingFromThingGroupRequest(
                thing_name=thing, thing_group_name=group, thing_arn=thing_arn, thing_group_arn=group_arn
            ),
        )

    def update_groups(
        self, thing: str | None, *, add: Sequence[str] | None = None, remove: Sequence[str] | None = None
    ) -> None:
        thing_groups.update_thing_groups_for_thing(
            self.call,
            self.tx,
            iot.UpdateThingGroupsForThingRequest(
                thing_name=thing,
                thing_groups_to_add=None if add is None else list(add),
                thing_groups_to_remove=None if remove is None else list(remove),
            ),
        )

    def list_groups_of(
        self, thing: str, *, token: str | None = None, limit: int | None = None
    ) -> iot.ListThingGroupsForThingResponse:
        request = iot.ListThingGroupsForThingRequest(thing_name=thing, next_token=token, max_results=limit)
        return thing_groups.list_thing_groups_for_thing(self.call, self.tx, request)

    def list_things_in(
        self,
        group: str,
        *,
        recursive: bool | None = None,
        token: str | None = None,
        limit: int | None = None,
    ) -> iot.ListThingsInThingGroupResponse:
        return thing_groups.list_things_in_thing_group(
            self.call,
            self.tx,
            iot.ListThingsInThingGroupRequest(
                thing_group_name=group, recursive=recursive, next_token=token, max_results=limit
            ),
        )

    def groups_of(self, thing: str) -> list[str | None]:
        return group_names(self.list_groups_of(thing))

    def things_in(self, group: str, *, recursive: bool = False) -> list[str]:
        return list(self.list_things_in(group, recursive=recursive).things or ())

    # --- tags -------------------------------------------------------------------------------------

    def put_tags(self, resource: str, *given: iot.Tag) -> None:
        request = iot.TagResourceRequest(resource_arn=resource, tags=list(given))
        tags.tag_resource(self.call, self.tx, request)

    def remove_tags(self, resource: str, *keys: str) -> None:
        request = iot.UntagResourceRequest(resource_arn=resource, tag_keys=list(keys))
        tags.untag_resource(self.call, self.tx, request)

    def tags_of(self, resource: str) -> list[tuple[str, str | None]]:
        request = iot.ListTagsForResourceRequest(resource_arn=resource)
        answer = tags.list_tags_for_resource(self.call, self.tx, request)
        assert answer.next_token is None
        return [(tag.key, tag.value) for tag in answer.tags or ()]

    # --- jobs, as far as the registry cares ---------------------------------------------------------

    def a_job(self, job_id: str = "j1") -> JobKey:
        job = Job(
            key=JobKey(0),
            scope=self.call.scope.id,
            job_id=job_id,
            status=JobStatus.IN_PROGRESS,
            target_selection=TargetSelection.SNAPSHOT,
            description=None,
            namespace_id=None,
            config=JobConfig(),
            destination_package_versions=None,
            force_canceled=False,
            reason_code=None,
            comment=None,
            created_at=self.call.now,
            last_updated_at=self.call.now,
            completed_at=None,
            sweep=None,
        )
        return self.tx.jobs.insert(job, Document("{}"), ())

    def open_snapshot(self, job_key: JobKey) -> tuple[int, int]:
        """Have a rollout follow all memberships as they are now; its key and sequence number."""
        seq = self.tx.groups.current_seq()
        key = self.tx.rollouts.insert(
            job_key, position=0, end_position=1, snapshot_seq=seq, limited=False, now=self.call.now
        )
        return key, seq


def payload(
    attributes: Mapping[str, str] | None, *, merge: bool | None = None
) -> iot.AttributePayload | None:
    if attributes is None and merge is None:
        return None
    return iot.AttributePayload(attributes=None if attributes is None else dict(attributes), merge=merge)


def group_names(
    answer: iot.ListThingGroupsResponse | iot.ListThingGroupsForThingResponse,
) -> list[str | None]:
    return [group.group_name for group in answer.thing_groups or ()]


def thing_names(answer: iot.ListThingsResponse) -> list[str | None]:
    return [thing.thing_name for thing in answer.things or ()]
