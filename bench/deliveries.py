"""Hands documents with presigned URLs to devices, and says what that costs.

Run by the interpreter of the project's own environment, because it imports thingjobs:
``.venv/bin/python -m bench.deliveries --documents 10000 --placeholders 2``.
"""

import argparse
import json
import sqlite3
import time
from collections.abc import Sequence
from dataclasses import replace

from thingjobs.domain.model import JobFacts
from thingjobs.domain.quotas import DEFAULT_QUOTAS
from thingjobs.operations import jobs, things
from thingjobs.operations.call import Call, Endpoints
from thingjobs.operations.device_documents import DeviceDocuments
from thingjobs.s3.roles import Roles
from thingjobs.s3.signing import Credentials
from thingjobs.s3.storage import Options, Storage
from thingjobs.store.blocks import read_blocks
from thingjobs.store.migrate import migrate
from thingjobs.store.sqlite import DIALECT, Database
from thingjobs.store.tx import Tx
from thingjobs.wire.shapes import iot

ROLE = "arn:aws:iam::123456789012:role/firmware"
THING = "arn:aws:iot:us-east-1:123456789012:thing/lamp"
NOW = 1_768_480_200_000


def a_storage() -> Storage:
    keys = Credentials("AKIAEXAMPLEEXAMPLE22", "0" * 40)
    return Storage(Options(region="us-east-1", buckets=("*",)), Roles(static={ROLE: keys}))


def stored_jobs(storage: Storage, documents: int, placeholders: int) -> tuple[Tx, Sequence[JobFacts]]:
    """So many jobs for one thing, each with URLs of its own, in memory."""
    database = Database(sqlite3.connect(":memory:", isolation_level=None), read_blocks(DIALECT))
    migrate(database)
    tx = Tx(database)
    tx.begin()
    scope = tx.scopes.get_or_create("123456789012", "us-east-1")
    room = replace(DEFAULT_QUOTAS, active_snapshot_jobs=documents, concurrent_jobs=documents)
    call = Call(scope, NOW, lambda: "id", Endpoints("h", "h", "h"), room, storage=storage)
    things.create_thing(call, tx, iot.CreateThingRequest(thing_name="lamp"))
    for number in range(documents):
        urls = [
            f"${{aws:iot:s3-presigned-url:https://s3.amazonaws.com/firmware/lamp v2/{number}-{n}.bin}}"
            for n in range(placeholders)
        ]
        request = iot.CreateJobRequest(
            job_id=f"j{number}",
            targets=[THING],
            document=json.dumps({"op": "update", "urls": urls}),
            presigned_url_config=iot.PresignedUrlConfig(role_arn=ROLE),
        )
        jobs.create_job(call, tx, request)
    keys = [tx.jobs.key(scope.id, f"j{number}") for number in range(documents)]
    return tx, list(tx.jobs.facts([key for key in keys if key is not None]).values())


def measure(documents: int, placeholders: int) -> dict[str, float]:
    """CPU seconds for so many documents; names as in ``presigning.WORK``."""
    storage = a_storage()
    tx, facts = stored_jobs(storage, documents, placeholders)

    def cpu_seconds(handed_out: Sequence[tuple[JobFacts, int]]) -> float:
        given = DeviceDocuments(storage)
        start = time.process_time()
        for job, at in handed_out:
            given.text(tx, job, at)
        return time.process_time() - start

    return {
        "own": cpu_seconds([(job, NOW) for job in facts]),
        "same": cpu_seconds([(facts[0], NOW + 10_000 * n // documents) for n in range(documents)]),
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Hand out documents; prints CPU seconds as JSON.")
    parser.add_argument("--documents", type=int, required=True)
    parser.add_argument("--placeholders", type=int, required=True)
    given = parser.parse_args()
    print(json.dumps(measure(given.documents, given.placeholders)))
