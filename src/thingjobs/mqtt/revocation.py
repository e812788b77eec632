"""An access key that is disabled, removed or given another role ends the connections that it opened.

The keys are looked at twice a second, and connections only when the keys have changed. While the file of
keys cannot be used, nobody new is let in and those who are in stay.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import structlog

from thingjobs.auth.keys import AccessKey, AccessKeys, AccessKeysUnusable, Role
from thingjobs.mqtt.access import Principal
from thingjobs.mqtt.hub import Hub
from thingjobs.mqtt.reasons import ReasonCode

LOOK_EVERY_SECONDS = 0.5

log = structlog.get_logger()


async def follow(keys: AccessKeys, hub: Hub) -> None:
    """End what a change of the keys revokes, until canceled."""
    seen = -1
    changed = usable = True
    while True:
        try:
            good = {key.access_key_id: key for key in keys.list() if not key.disabled}
        except (AccessKeysUnusable, OSError) as error:
            if usable:
                log.error("access_keys_unusable", error=str(error))
            usable = False
        else:
            usable = True
            had_changed, changed = changed, keys.edition != seen
            seen = keys.edition
            if changed or had_changed:  # once more for a connection that was just being made
                expel(hub, good)
        await asyncio.sleep(LOOK_EVERY_SECONDS)


def expel(hub: Hub, good: Mapping[str, AccessKey]) -> None:
    """End the connections of principals without a good key, and forget their sessions."""
    verdicts: dict[Principal, bool] = {}

    def is_good(principal: Principal) -> bool:
        if principal not in verdicts:
            verdicts[principal] = _fits(principal, good.get(principal.name))
        return verdicts[principal]

    for client in hub.clients:
        if not is_good(client.principal):
            client.session.expiry_seconds = 0
            if client.line is None:
                hub.spawn(hub.forget(client))
    for line in list(hub.connections):
        if not is_good(line.principal):
            log.info("mqtt_revoked", principal=line.principal.name)
            line.end(ReasonCode.NOT_AUTHORIZED)


def _fits(principal: Principal, key: AccessKey | None) -> bool:
    return (
        key is not None
        and key.account == principal.scope.account
        and principal.read_only == (key.role is Role.READ_ONLY)
    )
