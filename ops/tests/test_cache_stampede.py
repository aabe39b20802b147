"""A region of three availability zones with two nodes each: whatever comes at once, each zone calls the upstream once."""

import time

import pytest

from support.apis import Api, patch
from support.region import Region, wait_until
from support.stampede import asks, open_files, stampede

REQUESTS = min(10_000, open_files(12_000) - 1_000)
TTL_SECONDS = 4
EVERY = "/*/*/"
SETTINGS = {"caching/enabled": "true", "caching/ttlInSeconds": str(TTL_SECONDS)}
# The stampede shall meet the cache, and no limit.
SETTINGS |= {"throttling/rateLimit": str(10 * REQUESTS), "throttling/burstLimit": str(10 * REQUESTS)}


@pytest.fixture(scope="module")
def region(tmp_path_factory):
    region = Region(tmp_path_factory.mktemp("stampede") / "one")
    try:
        yield region.start("--nodes-per-az", "2")
    finally:
        region.stop()


def test_ten_thousand_requests_for_an_expired_key_are_one_call_of_each_zone(region, upstream, measured):
    path = {"integration.request.path.proxy": "method.request.path.proxy"}
    declared = {"requestParameters": {"method.request.path.proxy": True}}
    api = Api(region.client()).proxy("/{proxy+}", f"{upstream.url}/{{proxy}}", method=declared, requestParameters=path)
    api.deploy(cacheClusterEnabled=True, cacheClusterSize="0.5")
    settings = patch(*(("replace", EVERY + name, value) for name, value in SETTINGS.items()))
    api.client.update_stage(restApiId=api.id, stageName="dev", patchOperations=settings)
    count = iter(range(1_000))

    def share():
        path = f"/hello/{next(count)}"
        before = [asks(node, "found") for node in region.nodes]
        for node in region.nodes:
            region.call(api.id, "dev", path, node=node)
        found = {node["az"] for node, number in zip(region.nodes, before) if asks(node, "found") > number}
        return len(found) == 3

    wait_until(share, lambda: f"the nodes of a zone do not share: {region.story()}", seconds=20)
    # A machine whose processors are taken away may keep an owner from replying in time, which costs a call.
    for attempt in range(3):
        disturbed = sum(asks(node, "failed") for node in region.nodes)
        calls, target = [], f"/slow/{300 + attempt}"
        for _ in ("nothing is stored", "what is stored has expired"):
            upstream.forget()
            started = time.monotonic()
            answers = stampede(region, api.id, target, REQUESTS)
            took = time.monotonic() - started
            assert set(answers) == {200}, {answer: answers.count(answer) for answer in set(answers)}
            calls.append(len(upstream.seen))
            expires = time.monotonic() + TTL_SECONDS
            wait_until(lambda: time.monotonic() > expires, "time passes", seconds=TTL_SECONDS + 1)
        if sum(asks(node, "failed") for node in region.nodes) == disturbed:
            break
    assert calls == [3, 3], f"{calls} calls of three zones, {disturbed} questions without a reply"
    measured(f"{REQUESTS} requests over 6 nodes of 3 AZs for one expired key: {calls[1]} upstream calls, {took:.1f} s")
