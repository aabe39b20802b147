"""Limits that span regions, in a cluster of two: one bucket and one quota, wherever requests arrive."""

import datetime
import time

import pytest

from support.apis import Api
from support.region import Region, wait_until


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """Two regions of two zones, and a stage with a method that needs a key."""
    region = Region(tmp_path_factory.mktemp("global") / "two", azs=2)
    # The second region's ports stand a hundred above the first one's.
    region.start("--regions", "2")
    try:
        client = region.client()
        api = Api(client).mock("/", method={"apiKeyRequired": True})
        api.deploy("prod")
        yield region, client, api
    finally:
        region.stop()


def plan(client, api, **settings):
    """A usage plan over the stage and all regions, with a key in it; plan id, key id and key value."""
    key = client.create_api_key(name="k", enabled=True)
    tags = settings.pop("tags", {}) | {"tidegate:scope": "global"}
    stages = [{"apiId": api.id, "stage": "prod"}]
    made = client.create_usage_plan(name="p", apiStages=stages, tags=tags, **settings)
    client.create_usage_plan_key(usagePlanId=made["id"], keyId=key["id"], keyType="API_KEY")
    return made["id"], key["id"], key["value"]


def ask(region, api, key, node):
    return region.call(api.id, "prod", node=node, style="aws", headers={"x-api-key": key}).status


def known(region, api, key):
    for node in region.nodes:
        wait_until(lambda node=node: ask(region, api, key, node) != 403, f"the key is not known in {node['az']}")


def in_each(region):
    """One node of each region."""
    return [next(node for node in region.nodes if node["region"] == name) for name in ("local-1", "local-2")]


@pytest.mark.parametrize("rate, burst", [(50, 100), (5, 3)])
def test_a_strict_rate_holds_over_all_regions(pair, rate, burst):
    region, client, api = pair
    _, _, value = plan(client, api, throttle={"rateLimit": rate, "burstLimit": burst}, tags={"tidegate:strict": "true"})
    started, admitted = time.monotonic(), 0
    known(region, api, value)
    wait_until(lambda: ask(region, api, value, region.nodes[0]) == 200, "the ledger of all regions grants nothing", seconds=30)
    settled, since = time.monotonic(), 0
    while time.monotonic() - settled < 6:
        for node in in_each(region):
            since += ask(region, api, value, node) == 200
    now = time.monotonic()
    # Requests that only looked whether the key is known were few.
    assert since <= burst + rate * (now - started) + 1, (since, now - started)
    assert since >= rate * (now - settled) * 0.7, (since, now - settled)


def test_a_quota_is_exact_over_all_regions(pair):
    region, client, api = pair
    plan_id, key_id, value = plan(client, api, quota={"limit": 30, "period": "DAY"})
    counts = dict.fromkeys(["local-1", "local-2"], 0)

    def all_used():
        for node in in_each(region):
            counts[node["region"]] += ask(region, api, value, node) == 200
        return sum(counts.values()) >= 30

    wait_until(all_used, lambda: f"admitted {counts} of 30", seconds=30)
    deadline = time.monotonic() + 2
    while time.monotonic() < deadline:
        all_used()
    assert sum(counts.values()) == 30 and min(counts.values()) > 0, counts
    today = datetime.datetime.now(datetime.timezone.utc).date().isoformat()
    second = in_each(region)[1]
    elsewhere = region.client(endpoint_url=second["control"], region_name="local-2")
    for one in [client, elsewhere]:
        dates = {"usagePlanId": plan_id, "startDate": today, "endDate": today}
        wait_until(lambda: one.get_usage(**dates)["items"] == {key_id: [[30, 0]]}, lambda: one.get_usage(**dates))
    client.update_usage(usagePlanId=plan_id, keyId=key_id, patchOperations=[{"op": "replace", "path": "/remaining", "value": "4"}])
    wait_until(lambda: [all_used(), sum(counts.values()) >= 34][1], lambda: f"admitted {counts} of 34", seconds=20)
    deadline = time.monotonic() + 1
    while time.monotonic() < deadline:
        all_used()
    assert sum(counts.values()) == 34, counts
