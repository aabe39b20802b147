"""What an operator sees of limits while they work: `tidegate limits top`, metrics, and the reason of each 429 in the access log."""

import json
import threading
import uuid

import pytest

from support import raw
from support.apis import Api
from support.region import wait_until
from test_eyes import scrape, total

COLUMNS = ["LIMIT", "LEVEL", "RATE", "DEMAND/s", "ADMITTED/s", "REFUSED/s", "FILL %", "LEFT", "STATE", "SHARES"]


@pytest.fixture(scope="module")
def guarded(client):
    api = Api(client, "guarded").mock("/", method={"apiKeyRequired": True})
    api.deploy("prod")
    yield api
    api.delete()


@pytest.fixture(scope="module")
def plans(client, guarded):
    """Makes usage plans over the stage, each with one key: plan id and name, key id, name and value."""
    made = []

    def make(**settings):
        name = uuid.uuid4().hex[:6]
        key = client.create_api_key(name=f"key-{name}", enabled=True)
        stages = [{"apiId": guarded.id, "stage": "prod"}]
        plan = client.create_usage_plan(name=f"plan-{name}", apiStages=stages, **settings)
        client.create_usage_plan_key(usagePlanId=plan["id"], keyId=key["id"], keyType="API_KEY")
        made.append((plan["id"], key["id"]))
        return {"plan": plan["id"], "plan_name": plan["name"], "key": key["id"], "key_name": key["name"], "value": key["value"]}

    yield make
    for plan, key in made:
        client.delete_api_key(apiKey=key)
        operations = [{"op": "remove", "path": "/apiStages", "value": f"{guarded.id}:prod"}]
        client.update_usage_plan(usagePlanId=plan, patchOperations=operations)
        client.delete_usage_plan(usagePlanId=plan)


@pytest.fixture
def under_load(region, guarded):
    """Calls the stage with a key at every node until the test is over; `stop` ends that earlier."""
    done, threads = threading.Event(), []

    def call(key, node):
        return region.call(guarded.id, "prod", "/", node=node, headers={"x-api-key": key})

    def work(key, node):
        while not done.wait(0.005):
            call(key, node)

    def stop():
        done.set()
        for thread in threads:
            thread.join()

    def start(key):
        for node in region.nodes:
            wait_until(lambda node=node: call(key, node).status != 403, "the key is not known")
            threads.append(threading.Thread(target=work, args=(key, node)))
        for thread in threads:
            thread.start()
        return stop

    yield start
    stop()


def top(region, *words):
    return json.loads(region.tidegate("limits", "top", "-o", "json", *words).stdout)


def of(answer, made, level):
    """The only limit of a key on a level."""
    found = [one for one in answer["limits"] if one.get("key") == made["key"] and one["level"] == level]
    assert len(found) < 2, found
    return found[0] if found else None


def until(region, made, level, condition, *words):
    """Waits for a limit that looks as it should; returns it."""
    seen = []

    def look():
        seen.append(of(top(region, *words), made, level))
        return seen[-1] if seen[-1] and condition(seen[-1]) else None

    return wait_until(look, lambda: f"last: {seen[-1]}")


def shares(limit):
    return sum(one.get("share_percent", 0) for one in limit["holders"])


@pytest.mark.parametrize("kind, rate, burst, strict", [
    ("slice", 40, 60, "false"),
    ("slice", 40, 60, "true"),
    ("count", 20, 10, "false"),
    ("pool", 20, 10, "true"),
])
def test_a_busy_key_is_named_with_what_it_asks_and_who_holds_what(region, plans, under_load, kind, rate, burst, strict):
    made = plans(throttle={"rateLimit": rate, "burstLimit": burst}, tags={"tidegate:strict": strict})
    stop = under_load(made["value"])
    limit = until(region, made, "plan", lambda one: (
        len(one["holders"]) == 3 and one["refused"] > 1 and one["short"] and 0.6 * rate < one["admitted"] < 1.4 * rate
    ))
    names = {name: made[name] for name in ("plan", "plan_name", "key", "key_name")}
    expected = names | {"limit": f"{made['plan_name']}/{made['key_name']}", "kind": kind, "rate": rate, "burst": burst}
    assert {name: limit[name] for name in expected} == expected
    assert limit["policy"] == {"strict": strict == "true", "isolated": "closed" if strict == "true" else "even", "scope": "region"}
    assert abs(limit["admitted"] + limit["refused"] - limit["demand"]) < 0.1
    assert {one["az"] for one in limit["holders"]} == {node["az"] for node in region.nodes}
    for part in ("demand", "refused"):
        assert abs(sum(one[part] for one in limit["holders"]) - limit[part]) < 0.1
    assert abs(limit["fill_percent"] - 100 * limit["admitted"] / rate) < 1
    assert shares(limit) <= 100 and (shares(limit) > 0 or kind != "slice")
    assert ("remaining" in limit) == (kind != "slice")
    assert of(top(region, "--level", "plan"), made, "plan") and not top(region, "--level", "account")["limits"]
    stop()
    wait_until(lambda: (now := of(top(region), made, "plan")) is None or now["demand"] < 1, "the demand stays", seconds=30)


def test_a_quota_says_what_is_left_and_its_rate_what_it_lets_through(region, plans, under_load):
    made = plans(throttle={"rateLimit": 20, "burstLimit": 40}, quota={"limit": 5_000, "period": "WEEK"})
    under_load(made["value"])
    quota = until(region, made, "quota", lambda one: (one.get("remaining") or 5_000) < 4_950 and one["admitted"] > 10 and one["refused"] < 0.5)
    assert (quota["quota"], quota["period"], quota["kind"]) == (5_000, "WEEK", "quota")
    assert abs(quota["fill_percent"] - (5_000 - quota["remaining"]) / 50) < 0.1
    assert not quota["short"] and 0 < shares(quota) <= 100
    rate = until(region, made, "plan", lambda one: one["refused"] > 1)
    assert rate["demand"] > quota["demand"], "what the rate refused did not reach the quota"


def test_a_quota_that_is_used_up_is_short_and_its_rate_lets_nothing_through(region, plans, under_load):
    made = plans(throttle={"rateLimit": 900, "burstLimit": 900}, quota={"limit": 60, "period": "DAY"})
    under_load(made["value"])
    quota = until(region, made, "quota", lambda one: one["short"] and one["refused"] > 10 and one["admitted"] < 2)
    assert (quota["remaining"], quota["fill_percent"]) == (0, 100)
    rate = until(region, made, "plan", lambda one: one["demand"] > 10 and one["admitted"] < 2)
    assert rate["refused"] == 0 and not rate["short"]


def test_the_table_is_for_people_and_keeps_secrets(region, plans, under_load):
    made = plans(throttle={"rateLimit": 30, "burstLimit": 50})
    under_load(made["value"])
    until(region, made, "plan", lambda one: one["refused"] > 1)
    text = region.tidegate("limits", "top", "--count", "500").stdout
    header, *rows = text.splitlines()
    assert header.split("  ")[0] == "LIMIT" and all(column in header for column in COLUMNS)
    row = next(row for row in rows if row.startswith(f"{made['plan_name']}/{made['key_name']} "))
    assert "30/s, 50 at once" in row and "short" in row
    assert all(f"{node['az']}/{node['node_id']}: " in row for node in region.nodes)
    assert "\x1b" not in text and made["value"] not in text
    assert made["value"] not in json.dumps(top(region))
    assert len(top(region, "--count", "1")["limits"]) == 1
    assert top(region, "--api", "nosuchapi")["limits"] == []


def test_a_limit_far_below_its_rate_is_seen_too(region, plans, under_load):
    made = plans(throttle={"rateLimit": 9_000, "burstLimit": 9_000})
    under_load(made["value"])
    limit = until(region, made, "plan", lambda one: len(one["holders"]) == 3 and one["demand"] > 20)
    assert limit["refused"] == 0 and not limit["short"] and 0 < limit["fill_percent"] < 20
    # A part of every limit is nobody's, for whoever runs short first.
    assert 70 < shares(limit) <= 100


def test_settings_of_stages_and_methods_are_named(client, region, guarded, plans, under_load):
    def patch(*operations):
        made = [{"op": op, "path": path} | ({"value": value} if value else {}) for op, path, value in operations]
        client.update_stage(restApiId=guarded.id, stageName="prod", patchOperations=made)

    patch(("replace", "/*/*/throttling/rateLimit", "5"), ("replace", "/*/*/throttling/burstLimit", "5"))
    try:
        under_load(plans()["value"])
        words = ("--api", guarded.id, "--stage", "prod", "--level", "method")
        found = wait_until(lambda: [one for one in top(region, *words)["limits"] if one["refused"] > 1], "no method is limited")
        assert [(one["limit"], one["method"], one["rate"]) for one in found] == [(f"{guarded.id}/prod GET /", "GET /", 5)]
    finally:
        patch(("remove", "/*/*", None))


def test_a_429_names_its_limit_in_the_log_and_metrics_count_it(region, guarded, plans, under_load):
    made = plans(throttle={"rateLimit": 1, "burstLimit": 2})
    node = region.nodes[0]
    before = total(scrape(node), "tidegate_limit_refusals_total", limit="plan", reason="exhausted")
    under_load(made["value"])

    def refused():
        lines = (region.data / node["az"] / "access.log").read_text().splitlines(keepends=True)
        lines = [json.loads(line) for line in lines if line.endswith("\n")]
        return [line for line in lines if line["apiKeyId"] == made["key"] and line["status"] == 429]

    wait_until(lambda: any(line["throttleReason"] == "exhausted" for line in refused()), refused)
    line = next(line for line in refused() if line["throttleReason"] == "exhausted")
    expected = {"apiId": guarded.id, "stage": "prod", "throttleLimit": "plan", "throttlePlan": made["plan"], "throttleLease": "held"}
    assert {name: line[name] for name in expected} == expected

    def counted():
        samples = scrape(node)
        return (
            total(samples, "tidegate_limit_refusals_total", limit="plan", reason="exhausted") > before
            and total(samples, "tidegate_limit_refused", kind="count") > 1
            and total(samples, "tidegate_limits_in_use", kind="count") >= 1
        )

    wait_until(counted, "the metrics do not tell")
    samples = [scrape(node) for node in region.nodes]
    used = []
    for shard in "012":
        of_shard = lambda name, shard=shard: [total(one, f"tidegate_{name}", shard=shard) for one in samples]
        assert sum(of_shard("ledger_is_leader")) == 1
        # A shard that keeps no limit has no sessions.
        is_used = of_shard("limit_session") == [1, 1, 1]
        used.append(is_used)
        assert all((0 < left <= 10) == is_used for left in of_shard("limit_lease_seconds"))
        assert of_shard("ledger_sessions") == [3, 3, 3] or not is_used
        assert all(count > 0 for count in of_shard("ledger_commands_total"))
    assert any(used)
    assert sum(total(one, "tidegate_limit_reports_total", outcome="arrived") for one in samples) > 0
    assert sum(total(one, "tidegate_limits") for one in samples) > 0


def test_what_cannot_be_asked_says_how_to(region):
    for words, status, said in [
        (("--watch",), 1, "--watch redraws a table on a terminal"),
        (("--count", "0"), 2, "0 is not in 1..=500"),
        (("--level", "node"), 2, "plan-method"),
    ]:
        done = region.tidegate("limits", "top", *words, check=False)
        assert (done.returncode, said in done.stderr) == (status, True), done
    unsigned = raw.request(region.nodes[0]["control"], "GET", "/_tidegate/limits")
    assert unsigned.status == 403
    text = region.tidegate("limits", "top", "--help").stdout
    assert "SHARES says" in text and "--watch" in text


def test_who_does_not_answer_is_named(own_region):
    client = own_region.client()
    client.update_account(patchOperations=[
        {"op": "replace", "path": "/throttleSettings/burstLimit", "value": "5000"},
        {"op": "replace", "path": "/throttleSettings/rateLimit", "value": "5000"},
    ])
    wait_until(lambda: (now := top(own_region))["silent_nodes"] == now["silent_shards"] == [], "somebody is silent")
    lost = own_region.nodes[-1]
    own_region.tidegate("dev", "stop-az", lost["az"])
    wait_until(lambda: (now := top(own_region))["silent_nodes"] == [lost["node_id"]] and now["silent_shards"] == [], lambda: top(own_region))
    assert f"no answer of node {lost['node_id']}" in own_region.tidegate("limits", "top").stdout
