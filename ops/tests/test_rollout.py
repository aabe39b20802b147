"""Staged rollouts: a new version reaches one availability zone after the other, and comes back when it fails."""

import concurrent.futures
import json
import threading
import time

import pytest

from support.apis import Api, patch
from support.region import wait_until

BAKE = 5
TAGS = {"tidegate:rollout": "az", "tidegate:rollout-bake": str(BAKE)}


def rollouts(region, api):
    listed = json.loads(region.tidegate("rollout", "list", "-o", "json").stdout)["rollouts"]
    return [one for one in listed if one["api"] == api.id]


@pytest.fixture
def staged(client, make_api, everywhere):
    """An API whose stage rolls out by zones, with its first version served everywhere."""
    api = make_api().mock("/v", body={"version": 1})
    first = api.deploy(stage="prod")
    arn = f"arn:aws:apigateway:{client.meta.region_name}::/restapis/{api.id}/stages/prod"
    client.tag_resource(resourceArn=arn, tags=TAGS)
    everywhere(api.id, "prod", "/v", expect={"version": 1})
    api.first = first
    return api


def set_version(api, version, status="200"):
    """Changes the answer and deploys."""
    at = api.at("/v", "GET")
    if status != "200":
        api.client.put_method_response(**at, statusCode=status)
        api.client.delete_integration_response(**at, statusCode="200")
    api.client.put_integration_response(
        **at, statusCode=status, responseTemplates={"application/json": json.dumps({"version": version})}
    )
    if status != "200":
        template = {"application/json": json.dumps({"statusCode": int(status)})}
        api.client.put_integration(**at, type="MOCK", requestTemplates=template)
        api.client.put_integration_response(
            **at, statusCode=status, responseTemplates={"application/json": json.dumps({"version": version})}
        )
    return api.deploy(stage="prod")


def versions(region, api):
    return [(answer.status, answer.json["version"]) for answer in (region.call(api.id, "prod", "/v", node=node) for node in region.nodes)]


class Load:
    """Asks every node over and over."""

    def __init__(self, region, api):
        self.region, self.api, self.stop, self.statuses = region, api, threading.Event(), []

    def run(self):
        while not self.stop.is_set():
            self.statuses += [status for status, _ in versions(self.region, self.api)]

    def __enter__(self):
        self.pool = concurrent.futures.ThreadPoolExecutor(1)
        self.running = self.pool.submit(self.run)
        return self

    def __exit__(self, *_):
        self.stop.set()
        self.running.result(30)
        self.pool.shutdown()


def test_a_good_version_goes_from_zone_to_zone(region, client, staged, measured):
    second = set_version(staged, 2)
    assert client.get_stage(restApiId=staged.id, stageName="prod")["deploymentId"] == second
    seen, started = [], time.monotonic()

    def all_have_it():
        now = [version for _, version in versions(region, staged)]
        if not seen or seen[-1][1] != now:
            seen.append((time.monotonic() - started, now))
        return now == [2, 2, 2]

    wait_until(all_have_it, lambda: f"version 2 everywhere: {seen}", seconds=3 * BAKE + 15)
    steps = [now for _, now in seen if now != [1, 1, 1]]
    assert steps == [[2, 1, 1], [2, 2, 1], [2, 2, 2]], seen
    (second_at, third_at) = (at for at, now in seen if now in ([2, 2, 1], [2, 2, 2]))
    first_at = next(at for at, now in seen if now == [2, 1, 1])
    assert second_at - first_at >= BAKE - 1 and third_at - second_at >= BAKE - 1, seen
    wait_until(lambda: rollouts(region, staged) == [], "the rollout is over", seconds=BAKE + 10)
    measured(f"a rollout over 3 zones with {BAKE} s each: " + ", ".join(f"{at:.1f} s" for at, now in seen if now != [1, 1, 1]))


def test_a_failing_version_is_taken_back_and_hurts_one_zone_only(region, client, staged, measured):
    with Load(region, staged) as load:
        bad = set_version(staged, 2, status="500")
        started = time.monotonic()
        wait_until(lambda: 500 in load.statuses, "the bad version somewhere", seconds=10)
        (one,) = wait_until(
            lambda: [one for one in rollouts(region, staged) if one["state"] == "rolled-back"], "taken back", seconds=15
        )
        took = time.monotonic() - started
        assert one["to_deployment"] == bad and one["from_deployment"] == staged.first
        assert "requests in local-1a failed, more than 5 %" in one["reason"], one
        wait_until(lambda: versions(region, staged) == [(200, 1)] * 3, "version 1 everywhere", seconds=5)
    assert client.get_stage(restApiId=staged.id, stageName="prod")["deploymentId"] == staged.first
    assert load.statuses.count(500) <= len(load.statuses) / 3
    measured(f"a version that answers 500 was taken back after {took:.1f} s: {load.statuses.count(500)} of {len(load.statuses)} requests failed")


def test_abort_and_finish(region, staged):
    third = set_version(staged, 3)
    wait_until(lambda: versions(region, staged)[0] == (200, 3), "version 3 in the first zone", seconds=10)
    (one,) = rollouts(region, staged)
    assert (one["state"], one["to_deployment"], one["reached"]) == ("rolling", third, ["local-1/local-1a"])
    assert "everywhere again" in region.tidegate("rollout", "abort", staged.id, "prod").stdout
    wait_until(lambda: versions(region, staged) == [(200, 1)] * 3, "version 1 everywhere", seconds=5)
    assert rollouts(region, staged)[0]["reason"] == "aborted by an operator"
    done = region.tidegate("rollout", "finish", staged.id, "prod", check=False)
    assert done.returncode != 0 and "has no rollout under way" in done.stderr
    set_version(staged, 4)
    wait_until(lambda: versions(region, staged)[0] == (200, 4), "version 4 in the first zone", seconds=10)
    region.tidegate("rollout", "finish", staged.id, "prod")
    wait_until(lambda: versions(region, staged) == [(200, 4)] * 3, "version 4 everywhere", seconds=3)
    assert rollouts(region, staged) == []


def test_stage_variables_roll_out_too_and_other_settings_do_not(region, client, staged):
    client.update_stage(restApiId=staged.id, stageName="prod", patchOperations=patch(("replace", "/description", "text")))
    assert rollouts(region, staged) == []
    client.update_stage(restApiId=staged.id, stageName="prod", patchOperations=patch(("replace", "/variables/v", "1")))
    (one,) = rollouts(region, staged)
    assert one["state"] == "rolling" and one["from_deployment"] == one["to_deployment"]
    stage = client.get_stage(restApiId=staged.id, stageName="prod")
    assert stage["variables"] == {"v": "1"} and not [name for name in stage if "idegate" in name]
    region.tidegate("rollout", "abort", staged.id, "prod")
    assert "variables" not in client.get_stage(restApiId=staged.id, stageName="prod")


def test_what_a_zone_still_serves_cannot_be_deleted(region, client, staged):
    set_version(staged, 2)
    with pytest.raises(client.exceptions.BadRequestException, match="Active stages pointing to this deployment"):
        client.delete_deployment(restApiId=staged.id, deploymentId=staged.first)
    region.tidegate("rollout", "finish", staged.id, "prod")
    client.delete_deployment(restApiId=staged.id, deploymentId=staged.first)


@pytest.mark.parametrize("tag, value, rule", [
    ("tidegate:rollout", "zone", "must be az or all"),
    ("tidegate:rollout-bake", "4", "must be a whole number of seconds from 5 to 3600"),
    ("tidegate:rollout-errors", "0", "must be a percentage above 0, at most 100"),
])
def test_tags_without_a_meaning_are_refused(client, staged, tag, value, rule):
    arn = f"arn:aws:apigateway:{client.meta.region_name}::/restapis/{staged.id}/stages/prod"
    with pytest.raises(client.exceptions.BadRequestException, match=f"Invalid value '{value}' of tag {tag}: {rule}"):
        client.tag_resource(resourceArn=arn, tags={tag: value})
