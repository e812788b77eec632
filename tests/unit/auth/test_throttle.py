"""Request rates: token buckets per account and operation (spec: quotas 4)."""

from __future__ import annotations

import pytest

from thingjobs.auth.throttle import MAX_BUCKETS, Throttle
from thingjobs.domain.errors import Throttled
from thingjobs.domain.quotas import REQUEST_RATES


class Watch:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def passed(
    throttle: Throttle, operation: str, times: int, *, device: bool = False, account: str = "a"
) -> int:
    """How many of ``times`` requests pass."""
    count = 0
    for _ in range(times):
        try:
            throttle.take(account, operation, device_plane=device)
            count += 1
        except Throttled:
            pass
    return count


@pytest.mark.parametrize(
    ("operation", "device", "rate"),
    [
        ("CreateJob", False, 10),
        ("DescribeThing", False, 350),
        ("CreateThingGroup", False, 25),
        ("GetPendingJobExecutions", True, 200),
        ("UpdateJobExecution", True, 200),
    ],
)
def test_a_burst_of_one_second_passes_and_refills_at_the_rate(
    operation: str, device: bool, rate: int
) -> None:
    watch = Watch()
    throttle = Throttle(REQUEST_RATES, watch)
    assert passed(throttle, operation, 2 * rate, device=device) == rate
    watch.now += 0.5
    assert passed(throttle, operation, 2 * rate, device=device) == rate // 2
    watch.now += 60
    assert passed(throttle, operation, 2 * rate, device=device) == rate


def test_devices_reads_share_a_bucket_and_leave_that_of_their_writes_alone() -> None:
    throttle = Throttle({"DeviceReads": 3, "DeviceWrites": 2, "Other": 1}, Watch())
    assert passed(throttle, "GetPendingJobExecutions", 2, device=True) == 2
    assert passed(throttle, "DescribeJobExecution", 5, device=True) == 1
    assert passed(throttle, "StartNextPendingJobExecution", 5, device=True) == 2
    assert passed(throttle, "DescribeJobExecution", 5) == 1  # the control plane's of that name


def test_accounts_do_not_share() -> None:
    throttle = Throttle({"Other": 1}, Watch())
    assert passed(throttle, "CreateJob", 3) == 1
    assert passed(throttle, "CreateJob", 3, account="b") == 1


def test_a_refusal_names_the_limit_and_when_to_try_again() -> None:
    watch = Watch()
    throttle = Throttle({"Other": 10}, watch)
    passed(throttle, "CreateJob", 10)
    with pytest.raises(Throttled, match="limited to 10 requests per second") as refusal:
        throttle.take("a", "CreateJob", device_plane=False)
    assert (refusal.value.limit, refusal.value.used, refusal.value.retry_after_seconds) == (10, 10, 1)
    watch.now += refusal.value.retry_after_seconds
    assert passed(throttle, "CreateJob", 1) == 1


def test_without_rates_everything_passes() -> None:
    assert passed(Throttle(None, Watch()), "CreateJob", 1000) == 1000


def test_many_accounts_do_not_fill_the_memory() -> None:
    throttle = Throttle({"Other": 1}, Watch())
    for n in range(MAX_BUCKETS + 100):
        throttle.take(str(n), "CreateJob", device_plane=False)
    assert len(throttle._buckets) <= MAX_BUCKETS
