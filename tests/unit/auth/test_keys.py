"""Access keys in a file that two processes share."""

from __future__ import annotations

import json
import os
import re
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from thingjobs.auth.keys import (
    LOOK_EVERY_S,
    LOOK_FOR_UNKNOWN_EVERY_S,
    AccessKeyNotFound,
    AccessKeys,
    AccessKeysUnusable,
    Role,
    may,
)
from thingjobs.domain.errors import UnrecognizedClient

NOW = 1_768_480_200_000


class Watch:
    """A monotonic clock that stands still until it is told to go."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "access-keys.json"


@pytest.fixture
def watch() -> Watch:
    return Watch()


def edited(path: Path, change: Callable[[dict[str, Any]], None]) -> None:
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))


# --- making and keeping ---------------------------------------------------------------------------


def test_the_first_start_makes_one_admin_key_and_later_starts_none(path: Path) -> None:
    first = AccessKeys(path).ensure_admin(NOW)
    assert first is not None
    assert (first.role, first.account, first.created_at, first.disabled) == (
        Role.ADMIN,
        "123456789012",
        NOW,
        False,
    )
    assert AccessKeys(path).ensure_admin(NOW + 1) == first
    assert AccessKeys(path).list() == (first,)


def test_no_admin_key_is_made_while_the_file_is_there(path: Path) -> None:
    keys = AccessKeys(path)
    first = keys.ensure_admin(NOW)
    assert first is not None
    keys.create(role=Role.READ_ONLY, now_ms=NOW)
    keys.disable(first.access_key_id)
    assert keys.ensure_admin(NOW) is None
    assert len(keys.list()) == 2


def test_ids_and_secrets_look_like_those_of_aws(path: Path) -> None:
    keys = AccessKeys(path)
    made = [keys.create(role=Role.ADMIN, now_ms=NOW) for _ in range(20)]
    assert all(re.fullmatch(r"AKIA[A-Z2-7]{16}", key.access_key_id) for key in made)
    assert all(re.fullmatch(r"[A-Za-z0-9]{40}", key.secret) for key in made)
    assert len({key.secret for key in made}) == len({key.access_key_id for key in made}) == 20


def test_what_was_created_is_found_by_another_process(path: Path) -> None:
    created = AccessKeys(path).create(
        role=Role.READ_ONLY, account="000000000001", description="the dashboard", now_ms=NOW
    )
    assert AccessKeys(path).find(created.access_key_id) == created


def test_a_disabled_key_is_unrecognized_like_an_unknown_one(path: Path) -> None:
    """spec: wire 5.1"""
    keys = AccessKeys(path)
    key = keys.create(role=Role.ADMIN, now_ms=NOW)
    assert keys.usable(key.access_key_id) == key
    assert keys.disable(key.access_key_id).disabled
    assert keys.disable(key.access_key_id).disabled
    refusals = []
    for access_key_id in (key.access_key_id, "AKIAUNKNOWNUNKNOWN22"):
        with pytest.raises(UnrecognizedClient) as refused:
            keys.usable(access_key_id)
        refusals.append(refused.value.message)
    assert refusals == ["The security token included in the request is invalid."] * 2


def test_an_unknown_key_cannot_be_disabled(path: Path) -> None:
    with pytest.raises(AccessKeyNotFound, match="AKIANONE"):
        AccessKeys(path).disable("AKIANONE")


@pytest.mark.parametrize(
    "account", ["", "12345678901", "1234567890123", "12345678901a", "１２３４５６７８９０１２"]
)
def test_an_account_is_twelve_digits(path: Path, account: str) -> None:
    with pytest.raises(ValueError, match="12 digits"):
        AccessKeys(path).create(role=Role.ADMIN, account=account, now_ms=NOW)
    assert not path.exists()


def test_secrets_do_not_show(path: Path) -> None:
    keys = AccessKeys(path)
    key = keys.create(role=Role.ADMIN, now_ms=NOW)
    assert key.secret not in repr(key) + str(key) + repr(keys) + repr(keys.list())


def test_the_files_are_for_their_owner_only(path: Path) -> None:
    AccessKeys(path).ensure_admin(NOW)
    assert {entry.name: entry.stat().st_mode & 0o777 for entry in path.parent.iterdir()} == {
        "access-keys.json": 0o600,
        "access-keys.json.lock": 0o600,
    }


def test_edits_at_the_same_time_are_all_kept(path: Path) -> None:
    threads = [
        threading.Thread(
            target=lambda: [AccessKeys(path).create(role=Role.ADMIN, now_ms=NOW) for _ in range(10)]
        )
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(AccessKeys(path).list()) == 40


def test_what_an_edit_left_behind_when_it_died_is_no_obstacle(path: Path) -> None:
    (path.parent / ".access-keys.json.new").write_text("half")
    assert AccessKeys(path).ensure_admin(NOW) is not None


# --- following the file ---------------------------------------------------------------------------


def test_a_running_server_follows_an_edit_within_a_second(path: Path, watch: Watch) -> None:
    editor, server = AccessKeys(path), AccessKeys(path, monotonic=watch)
    key = editor.create(role=Role.ADMIN, now_ms=NOW)
    assert server.usable(key.access_key_id) == key
    editor.disable(key.access_key_id)
    watch.now += LOOK_EVERY_S - 0.01
    assert server.usable(key.access_key_id) == key
    watch.now += 0.01
    with pytest.raises(UnrecognizedClient):
        server.usable(key.access_key_id)


def test_a_new_key_works_without_waiting_for_that_second(path: Path, watch: Watch) -> None:
    editor, server = AccessKeys(path), AccessKeys(path, monotonic=watch)
    old = editor.create(role=Role.ADMIN, now_ms=NOW)
    assert server.find(old.access_key_id)
    new = editor.create(role=Role.ADMIN, now_ms=NOW)
    assert server.find(new.access_key_id) is None
    watch.now += LOOK_FOR_UNKNOWN_EVERY_S
    assert server.find(new.access_key_id) == new


def test_garbage_does_not_make_us_look_at_the_file(
    path: Path, watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = AccessKeys(path, monotonic=watch)
    server.ensure_admin(NOW)
    looks = 0
    real_stat = os.stat

    def counting_stat(*arguments: Any, **options: Any) -> os.stat_result:
        nonlocal looks
        looks += arguments[0] == path
        return real_stat(*arguments, **options)

    monkeypatch.setattr(os, "stat", counting_stat)
    for n in range(1000):
        watch.now += 0.001
        assert server.find(f"AKIA{n:016}") is None
    assert looks <= 1 / LOOK_FOR_UNKNOWN_EVERY_S


def test_a_removed_file_lets_nobody_in(path: Path, watch: Watch) -> None:
    server = AccessKeys(path, monotonic=watch)
    key = server.create(role=Role.ADMIN, now_ms=NOW)
    path.unlink()
    watch.now += LOOK_EVERY_S
    assert server.find(key.access_key_id) is None


# --- files that cannot be trusted -----------------------------------------------------------------


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o660, 0o601])
def test_a_file_open_to_others_is_refused_with_the_remedy(path: Path, watch: Watch, mode: int) -> None:
    server = AccessKeys(path, monotonic=watch)
    key = server.create(role=Role.ADMIN, now_ms=NOW)
    path.chmod(mode)
    watch.now += LOOK_EVERY_S
    with pytest.raises(AccessKeysUnusable, match=f"mode 0{mode:o}.*chmod 600 {path}"):
        server.find(key.access_key_id)
    with pytest.raises(AccessKeysUnusable, match="chmod 600"):
        server.create(role=Role.ADMIN, now_ms=NOW)
    path.chmod(0o600)
    watch.now += LOOK_EVERY_S
    assert server.find(key.access_key_id) == key


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda d: d.update(version=2), "not an object of version 1"),
        (lambda d: d.update(keys={}), "no list of keys"),
        (lambda d: d["keys"].append("x"), "key 2 does not have exactly the members"),
        (lambda d: d["keys"][0].pop("secret"), "key 1 does not have exactly the members"),
        (lambda d: d["keys"][0].update(extra=1), "key 1 does not have exactly the members"),
        (lambda d: d["keys"].append(d["keys"][0]), "two keys have the same access_key_id"),
        (lambda d: d["keys"][0].update(role="root"), "key 1 has an invalid role"),
        (lambda d: d["keys"][0].update(role=[]), "key 1 has an invalid role"),
        (lambda d: d["keys"][0].update(disabled=0), "key 1 has an invalid disabled"),
        (lambda d: d["keys"][0].update(created_at=True), "key 1 has an invalid created_at"),
        (lambda d: d["keys"][0].update(account="1"), "key 1 has an invalid account"),
        (lambda d: d["keys"][0].update(access_key_id=""), "key 1 has an invalid access_key_id"),
        (lambda d: d["keys"][0].update(secret=None), "key 1 has an invalid secret"),
        (lambda d: d["keys"][0].update(description=1), "key 1 has an invalid description"),
    ],
)
def test_a_damaged_file_is_refused_and_the_damage_named(
    path: Path, change: Callable[[dict[str, Any]], None], complaint: str
) -> None:
    key = AccessKeys(path).create(role=Role.ADMIN, now_ms=NOW)
    edited(path, change)
    with pytest.raises(AccessKeysUnusable, match=complaint) as refused:
        AccessKeys(path).find(key.access_key_id)
    assert key.secret not in str(refused.value)


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"[]", b"null", b"[" * 100_000])
def test_a_file_that_is_not_ours_is_refused_and_not_overwritten(path: Path, content: bytes) -> None:
    path.touch(0o600)
    path.write_bytes(content)
    with pytest.raises(AccessKeysUnusable, match="damaged"):
        AccessKeys(path).create(role=Role.ADMIN, now_ms=NOW)
    with pytest.raises(AccessKeysUnusable, match="damaged"):
        AccessKeys(path).ensure_admin(NOW)
    assert path.read_bytes() == content


def test_a_path_that_is_no_file_is_refused(path: Path) -> None:
    path.mkdir(0o700)
    with pytest.raises(AccessKeysUnusable, match="cannot be read"):
        AccessKeys(path).list()


# --- roles ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "operation",
    ["DescribeJob", "ListJobs", "GetJobDocument", "GetPendingJobExecutions", "DescribeJobExecution"],
)
def test_reading_is_for_both_roles(operation: str) -> None:
    assert may(Role.READ_ONLY, operation)
    assert may(Role.ADMIN, operation)


@pytest.mark.parametrize(
    "operation",
    [
        "CreateJob",
        "CancelJob",
        "DeleteJob",
        "StartNextPendingJobExecution",
        "UpdateJobExecution",
        "TagResource",
    ],
)
def test_changing_is_for_admins_only(operation: str) -> None:
    assert not may(Role.READ_ONLY, operation)
    assert may(Role.ADMIN, operation)
