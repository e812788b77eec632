"""The credentials file: what it may say, and that nothing wrong in it is overlooked."""

from __future__ import annotations

from pathlib import Path

import pytest

from thingjobs.s3.roles import AssumedRole, CredentialsUnusable, Roles, read_roles
from thingjobs.s3.signing import Credentials

FIRMWARE = "arn:aws:iam::123456789012:role/firmware"
CAMERAS = "arn:aws:iam::123456789012:role/cameras"
KEYS = 'access_key_id = "AK"\nsecret_access_key = "hush"\n'
ROLE = f'[[role]]\nrole_arn = "{FIRMWARE}"\n{KEYS}'
STS = 'sts_endpoint = "https://sts.example.net"\n'


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "s3.toml"
    path.touch(0o600)
    return path


def read(path: Path, text: str) -> Roles:
    path.write_text(text)
    return read_roles(path)


def test_a_file_names_who_reads_and_who_signs(path: Path) -> None:
    roles = read(
        path,
        '[reader]\naccess_key_id = "R"\nsecret_access_key = "read"\n'
        f'{ROLE}[[role]]\nrole_arn = "{CAMERAS}"\n{KEYS}{STS}duration_seconds = 900\n'
        f'[[role]]\nrole_arn = "*"\n{KEYS}',
    )
    keys = Credentials("AK", "hush")
    assert roles.reader == Credentials("R", "read")
    assert roles.static == {FIRMWARE: keys, "*": keys}
    assert roles.assumed == {CAMERAS: AssumedRole(CAMERAS, keys, "https://sts.example.net", 900)}


def test_all_of_it_is_optional(path: Path) -> None:
    assert read(path, "") == Roles()


def test_a_session_lasts_an_hour_if_nothing_is_said(path: Path) -> None:
    assert read(path, ROLE + STS).assumed[FIRMWARE].duration_seconds == 3600


def test_secrets_do_not_show(path: Path) -> None:
    shown = repr(read(path, f"[reader]\n{KEYS}{ROLE}[[role]]\nrole_arn = '{CAMERAS}'\n{KEYS}{STS}"))
    assert "AK" in shown
    assert "hush" not in shown


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("[readers]\n", "no table 'readers'"),
        ("reader = 1\n", "reader is not a table"),
        ("[reader]\naccess_key_id = 'AK'\n", "reader has no secret_access_key"),
        (f"[reader]\n{KEYS}role_arn = '{FIRMWARE}'\n", "reader has a member 'role_arn'"),
        ("[role]\n", r"write \[\[role\]\]"),
        ("role = [1]\n", "role 1 is not a table"),
        (f"[[role]]\n{KEYS}", "role 1 has no role_arn"),
        (f"[[role]]\nrole_arn = 'firmware'\n{KEYS}", "role 1: role_arn must be the ARN of an IAM role"),
        (f"[[role]]\nrole_arn = 7\n{KEYS}", "role 1: role_arn must be"),
        (ROLE + "acces_key = 'x'\n", "role 1 has a member 'acces_key'"),
        (ROLE.replace("hush", ""), "role 1: secret_access_key must be text"),
        (ROLE.replace("hush", "hush hush"), "role 1: secret_access_key must be text"),
        (ROLE.replace('"hush"', "7"), "role 1: secret_access_key must be text"),
        (ROLE + ROLE, "role 2 has the same role_arn as another"),
        (ROLE + ROLE + STS, "role 2 has the same role_arn as another"),
        (ROLE.replace(FIRMWARE, "*") + STS, r"role 1: STS is asked for one role"),
        (ROLE + "duration_seconds = 900\n", "role 1 has duration_seconds without sts_endpoint"),
        (ROLE + STS + "duration_seconds = 899\n", "role 1: duration_seconds must be"),
        (ROLE + STS + "duration_seconds = 43201\n", "role 1: duration_seconds must be"),
        (ROLE + STS + "duration_seconds = true\n", "role 1: duration_seconds must be"),
        (ROLE + "sts_endpoint = 'https://user:hush@sts'\n", "role 1: sts_endpoint must be"),
        (ROLE + "sts_endpoint = 'sts.example.net'\n", "role 1: sts_endpoint must be"),
        ("[reader\naccess_key_id = 'hush'\n", r"not TOML \(line 1\)"),
        (ROLE + "secret_access_key = 'hush'\n", r"not TOML \(line 5\)"),
        ("secret_access_key = 'hush", "not TOML"),
    ],
)
def test_what_is_wrong_is_refused_by_the_name_of_its_entry(path: Path, text: str, complaint: str) -> None:
    with pytest.raises(CredentialsUnusable, match=complaint) as refused:
        read(path, text)
    assert "hush" not in str(refused.value)
    assert str(path) in str(refused.value)


def test_a_file_that_is_not_utf8_is_refused(path: Path) -> None:
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(CredentialsUnusable, match="not UTF-8"):
        read_roles(path)


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o602])
def test_a_file_open_to_others_is_refused_with_the_remedy(path: Path, mode: int) -> None:
    path.write_text(ROLE)
    path.chmod(mode)
    with pytest.raises(CredentialsUnusable, match=f"mode 0{mode:o}.*chmod 600 {path}"):
        read_roles(path)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CredentialsUnusable, match="does not exist"):
        read_roles(tmp_path / "none.toml")


def test_a_path_that_is_no_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CredentialsUnusable, match="cannot be read"):
        read_roles(tmp_path)
