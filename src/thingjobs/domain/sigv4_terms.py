"""What both sides of AWS Signature Version 4 have in common: those who verify and those who sign.

Source: "Create a signed AWS API request" (IAM user guide).
"""

from __future__ import annotations

from datetime import UTC, datetime
from hmac import digest as hmac_digest

ALGORITHM = "AWS4-HMAC-SHA256"


def timestamp_of(instant_ms: int) -> str:
    """``20260115T123000Z``, to the second below; its first eight characters are the day of the scope."""
    return datetime.fromtimestamp(instant_ms // 1000, UTC).strftime("%Y%m%dT%H%M%SZ")


def derive_key(secret: str, date: str, region: str, service: str) -> bytes:
    """The key that signs requests of one day, region and service."""
    key = f"AWS4{secret}".encode()
    for part in (date, region, service, "aws4_request"):
        key = hmac_digest(key, part.encode(), "sha256")
    return key
