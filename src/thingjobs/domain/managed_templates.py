"""The managed templates of AWS: remote actions that the AWS IoT Device Client and its kin know how to run.

Each document has one step, which runs a handler, a shell script on the device. The descriptions are ours.

Source: Jobs developer guide, "managed template remote actions" (names, handlers, parameters, their patterns).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from thingjobs.domain.parameters import DocumentParameter

VERSION = "1.0"
ENVIRONMENTS = ("LINUX",)


@dataclass(frozen=True, slots=True)
class ManagedTemplate:
    name: str
    description: str
    document: str
    parameters: tuple[DocumentParameter, ...]


_ANYWHERE = (
    DocumentParameter(
        key="runAsUser",
        description="User that the handler runs as; without it, the user of the device client.",
        regex="(.){0,256}",
        example="user1",
        optional=True,
    ),
    DocumentParameter(
        key="pathToHandler",
        description="Directory of the handler on the device; without it, the device client's own.",
        regex="(.){0,4096}",
        example="/path/to/handler/script",
        optional=True,
    ),
)


def _required(key: str, description: str, example: str) -> DocumentParameter:
    return DocumentParameter(key, description, "(.*?)", example, optional=False)


def _template(
    action: str, description: str, handler: str, *required: DocumentParameter
) -> tuple[str, ManagedTemplate]:
    arguments = [f"${{aws:iot:parameter:{parameter.key}}}" for parameter in required]
    step = {
        "action": {
            "name": action,
            "type": "runHandler",
            "input": {
                "handler": handler,
                **({"args": arguments} if arguments else {}),
                "path": "${aws:iot:parameter:pathToHandler}",
            },
            "runAsUser": "${aws:iot:parameter:runAsUser}",
        }
    }
    document = json.dumps({"version": "1.0", "steps": [step]}, separators=(",", ":"))
    name = f"AWS-{action}"
    return name, ManagedTemplate(name, description, document, (*required, *_ANYWHERE))


_PACKAGES = _required("packages", "Names of one or more packages, separated by spaces.", "mosquitto nginx")
_SERVICES = _required("services", "Names of one or more services, separated by spaces.", "mosquitto nginx")

MANAGED_TEMPLATES: Mapping[str, ManagedTemplate] = dict(
    (
        _template(
            "Download-File",
            "Downloads a file to the device.",
            "download-file.sh",
            _required("downloadUrl", "URL of the file.", "http://www.example.com/index.html"),
            _required("filePath", "Path on the device that the file is written to.", "/path/to/file"),
        ),
        _template(
            "Install-Application", "Installs packages on the device.", "install-packages.sh", _PACKAGES
        ),
        _template("Reboot", "Restarts the device.", "reboot.sh"),
        _template("Remove-Application", "Removes packages from the device.", "remove-packages.sh", _PACKAGES),
        _template(
            "Restart-Application", "Restarts services on the device.", "restart-services.sh", _SERVICES
        ),
        _template("Start-Application", "Starts services on the device.", "start-services.sh", _SERVICES),
        _template("Stop-Application", "Stops services on the device.", "stop-services.sh", _SERVICES),
    )
)
"""By name, in the order of the name."""
