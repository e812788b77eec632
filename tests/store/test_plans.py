"""Blocks that run for every change of a large fleet find their rows by the index that is meant for it.

SQLite knows nothing of how many rows there are, and guesses; these are the guesses that would cost most.
"""

from __future__ import annotations

import re

import pytest

from factories import memory_database
from thingjobs.store.blocks import read_blocks
from thingjobs.store.sqlite import DIALECT

ARRAYS = {"members", "things", "keys", "names", "left_out"}


@pytest.mark.parametrize(
    ("block", "needed"),
    [
        ("pending_of_things", "job_execution_pending (thing_key=? AND job_key>?)"),
        ("pending_of_thing", "job_execution_pending (thing_key=? AND job_key>?)"),
        ("remove_queued", "job_execution_pending (thing_key=? AND job_key=?)"),
        ("named_executions", "(job_key=? AND thing_name=? AND execution_number=?)"),
        ("newest_of_things", "(job_key=? AND thing_name=?)"),
        ("overdue_jobs", "job_execution_due (deadline_at<?)"),
        ("time_out_some", "job_execution_due (deadline_at<?)"),
        ("overdue_of_job", "job_execution_due (deadline_at<?)"),
        ("next_deadline_at", "job_execution_due (deadline_at>?)"),
        ("cancel_some", "job_execution_by_status (job_key=? AND status=?)"),
        ("marked_things", "(job_key=? AND mark=? AND thing_key=?)"),
        ("followers_of_group", "job_target_by_group (group_key=?)"),
        ("targeted_things", "job_target_by_group (group_key=? AND job_key=? AND position<?)"),
        ("targeted_things", "thing_group_member_by_thing (thing_key=?)"),
        ("members_to_leave", "(group_key=? AND thing_name>?)"),
        ("jobs_to_look_at", "job_schedule_due (next_schedule_at<?)"),
        ("next_schedule_at", "job_schedule_due (next_schedule_at>?)"),
        ("jobs_to_retire", "job_to_retire (last_updated_at<?)"),
        ("next_to_retire", "job_to_retire (last_updated_at>?)"),
        ("rollouts_due", "rollout_due (next_tick_at<?)"),
    ],
)
def test_block_uses_its_index(block: str, needed: str) -> None:
    sql = read_blocks(DIALECT)[block]
    parameters = {name: "[]" if name in ARRAYS else 1 for name in re.findall(r":(\w+)", sql)}
    plan = memory_database().connection.execute(f"EXPLAIN QUERY PLAN {sql}", parameters).fetchall()
    steps = [step for _, _, _, step in plan]
    assert any(needed in step for step in steps), steps
    assert not any(step.startswith("SCAN job") for step in steps), steps


def test_overdue_executions_come_in_the_order_of_their_index() -> None:
    sql = read_blocks(DIALECT)["overdue_of_job"]
    plan = memory_database().connection.execute(
        f"EXPLAIN QUERY PLAN {sql}", {"now": 1, "job_key": 1, "limit": 1}
    )
    assert not any("TEMP B-TREE" in step for _, _, _, step in plan)
