"""Placeholders for presigned S3 URLs in job documents: checked at creation, filled in at each delivery.

    ${aws:iot:s3-presigned-url:https://s3.eu-north-1.amazonaws.com/bucket/key}     the URL taken raw
    ${aws:iot:s3-presigned-url-v2:https://bucket.s3.amazonaws.com/my%20key}        the URL percent-encoded

They are looked for in the device spelling of a document: that is what gets delivered, and a URL that was
stored as ``https:\\/\\/`` reads as it should there.

Source: Jobs developer guide, "presigned URLs"; sentences as observed by others on the service (unverified
by us).
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from urllib.parse import parse_qsl, unquote

from thingjobs.domain.document import device_spelling
from thingjobs.domain.errors import InvalidRequest


@dataclass(frozen=True, slots=True)
class S3Object:
    """An object in S3; ``region`` and ``version_id`` are None where the URL does not say."""

    bucket: str
    key: str
    region: str | None = None
    version_id: str | None = None


@dataclass(frozen=True, slots=True)
class Placeholder:
    url: str
    is_v2: bool


# --- placeholders -------------------------------------------------------------------------------

# A quote would end the string around the placeholder; a brace inside would make unclosed ones cost n².
_PLACEHOLDER = re.compile(r"\$\{aws:iot:s3-presigned-url(-v2)?:((?:[^{}\"\\]|\\.)*+)\}")


@dataclass(frozen=True, slots=True)
class Form:
    """A document in its device spelling, cut at its placeholders, so that filling it in costs no search.

    ``around`` has one text more than there are placeholders; ``written`` is how they stand in the document.
    """

    around: tuple[str, ...]
    placeholders: tuple[Placeholder, ...]
    written: tuple[str, ...]

    def filled(self, urls: Sequence[str | None]) -> str:
        """The document with a URL in the place of each placeholder; None leaves that as it is.

        What is filled in is escaped for the JSON string around it.
        """
        parts = [self.around[0]]
        for url, written, after in zip(urls, self.written, self.around[1:], strict=True):
            parts.append(written if url is None else json.dumps(url, ensure_ascii=False)[1:-1])
            parts.append(after)
        return "".join(parts)


def form_of(spelling: str) -> Form:
    """The presign placeholders of a document in its device spelling, in order, repeated ones repeated."""
    around, placeholders, written, end = [], [], [], 0
    for match in _PLACEHOLDER.finditer(spelling):
        around.append(spelling[end : match.start()])
        placeholders.append(_placeholder(match))
        written.append(match[0])
        end = match.end()
    return Form((*around, spelling[end:]), tuple(placeholders), tuple(written))


def check_presign(
    text: str, *, role_arn: str | None, owner: str, most: int, hosts: Collection[str] = ()
) -> Sequence[S3Object]:
    """The objects that a document wants presigned URLs of.

    ``text`` is a valid document, stored or in its device spelling; ``owner`` names it in the refusal
    (``job j1``; a template is called a job too). ``most``: placeholders it may have. ``hosts``: see
    ``parse_s3_url``.

    Errors: InvalidRequest for placeholders that could never be filled in: without a role to sign with, or
    naming no S3 object. Too many come first, then the role, then the URLs in their order [inferred].
    """
    if not may_have_placeholders(text):
        return ()
    found = form_of(device_spelling(text)).placeholders
    if len(found) > most:
        raise InvalidRequest(
            f"The job document of {owner} has {len(found)} substitutions; {most} are allowed at most."
        )
    if found and role_arn is None:
        if all(placeholder.is_v2 for placeholder in found):
            raise InvalidRequest(
                "presignedUrlConfig role ARN is required to generate an S3 presigned url in job document."
            )
        raise InvalidRequest(f"Role must be provided for pre-sign S3 urls in job document of {owner}.")
    return tuple(object_to_presign(placeholder, hosts) for placeholder in found)


def may_have_placeholders(text: str) -> bool:
    """False if the document, in whatever spelling, has none for sure."""
    return "presigned" in text or "\\u" in text


def object_to_presign(placeholder: Placeholder, hosts: Collection[str] = ()) -> S3Object:
    """The object a placeholder names.

    Errors: InvalidRequest ``Given S3 url … is invalid.`` or ``… Key cannot be null``.
    """
    invalid = f"Given S3 url {placeholder.url} is invalid."
    if placeholder.is_v2 and not _ENCODED_URL.fullmatch(placeholder.url):
        raise InvalidRequest(invalid)
    return _with_key(
        parse_s3_url(placeholder.url, percent_encoded=placeholder.is_v2, hosts=hosts),
        placeholder.url,
        invalid,
    )


def _placeholder(match: re.Match[str]) -> Placeholder:
    # What is left of escapes in a device spelling (a backslash, control characters) belongs to JSON.
    return Placeholder(url=json.loads(f'"{match[2]}"'), is_v2=match[1] is not None)


# --- S3 URLs ------------------------------------------------------------------------------------

_ENCODED_URL = re.compile(r"(?:[A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=-]|%[0-9A-Fa-f]{2})*")
_BUCKET = re.compile(r"[a-z0-9][a-z0-9._-]*")
_S3_URL = re.compile(r"s3://([^/]+)/?(.*)", re.DOTALL)
_HTTP_URL = re.compile(r"https?://([^/?#]+)/?(.*)", re.DOTALL | re.IGNORECASE)
_S3_HOST = re.compile(
    r"(?:(?P<bucket>[a-z0-9][a-z0-9._-]*)\.)?"
    r"s3(?:[.-]dualstack)?(?:[.-](?P<region>[a-z]{2}(?:-[a-z]+)+-[0-9]+))?"
    r"\.amazonaws\.com(?:\.cn)?",
    re.IGNORECASE,
)


def document_object(url: str, hosts: Collection[str]) -> S3Object:
    """The object that a ``documentSource`` names.

    Errors: InvalidRequest, before anything is looked for.
    Source: the sentences were observed by others on the service (unverified by us).
    """
    named = parse_s3_url(url, percent_encoded=True, hosts=hosts)
    return _with_key(named, url, f"Job document source {url} is invalid.")


def parse_s3_url(url: str, *, percent_encoded: bool, hosts: Collection[str] = ()) -> S3Object | None:
    """The object of an S3 URL: path style, virtual-hosted or ``s3://``. None if it is no such URL.

    ``hosts``: names, in lower case and with their ports, that the storage has beside those of Amazon.

    The key may be empty. An http(s) URL that is ``percent_encoded`` is decoded and may name a ``versionId``;
    otherwise, and in ``s3://`` always, all that follows the bucket is the key as it stands.
    """
    if match := _S3_URL.fullmatch(url):
        return S3Object(*match.groups())
    http = _HTTP_URL.fullmatch(url)
    host = _s3_host(http[1], hosts) if http else None
    if http is None or host is None:
        return None
    path, query = http[2], ""
    if percent_encoded:
        path, _, query = path.partition("#")[0].partition("?")
    (bucket, region), key = host, path
    if bucket is None:
        bucket, _, key = path.partition("/")
    if not bucket:
        return None
    return S3Object(
        bucket=bucket,
        key=unquote(key) if percent_encoded else key,
        region=region,
        version_id=dict(parse_qsl(query)).get("versionId"),
    )


def _s3_host(host: str, hosts: Collection[str]) -> tuple[str | None, str | None] | None:
    """The bucket and the region that the host of a URL names; None if it is no host of the storage."""
    if match := _S3_HOST.fullmatch(host):
        return match["bucket"], match["region"]
    name = host.lower()
    if name in hosts:
        return None, None
    for own in hosts:
        bucket = name.removesuffix(f".{own}")
        if bucket != name and _BUCKET.fullmatch(bucket):
            return bucket, None
    return None


def _with_key(named: S3Object | None, url: str, invalid: str) -> S3Object:
    if named is None:
        raise InvalidRequest(invalid)
    if not named.key:
        raise InvalidRequest(f"Provided S3 url is not valid: {url}. Error: Key cannot be null")
    return named
