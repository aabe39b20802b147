"""Losing nodes, zones and the whole region; nothing acknowledged is lost, and what is left serves on."""

import os
import signal
import subprocess
import threading
import time

import pytest
from botocore.exceptions import BotoCoreError, ClientError

from support import raw
from support.apis import Api
from support.region import binary, clean_environment, is_free, wait_until


def deployed(region, body):
    api = Api(region.client()).mock("/m", body=body)
    api.deploy()
    return api


def served_by(region, api, nodes, body):
    for node in nodes:
        wait_until(lambda: (answer := region.call(api.id, "dev", "/m", node=node)).status == 200 and answer.json == body,
                   f"{body} on {node['az']}", seconds=10)


def write(client, api, text):
    client.update_rest_api(restApiId=api.id, patchOperations=[{"op": "replace", "path": "/description", "value": text}])


def test_writes_and_reads_go_on_without_an_az(own_region, measured):
    """Kills the leader's zone with SIGKILL; the clock runs until the next acknowledged write."""
    region, client = own_region, own_region.client()
    api = deployed(region, {"v": 1})
    served_by(region, api, region.nodes, {"v": 1})
    leader = region.status()["leader"]
    az = next(node["az"] for node in region.nodes if node["node_id"] == leader)
    impatient = region.client(settles=False)
    started = time.monotonic()
    assert f"{az} is killed" in region.tidegate("dev", "stop-az", az).stdout
    assert region.node(az)["pid"] == 0

    def written():
        try:
            write(impatient, api, "after the loss")
            return True
        except (ClientError, BotoCoreError):
            return False

    wait_until(written, "a write after the loss of the leader", seconds=10)
    took = time.monotonic() - started
    measured(f"writes again after kill -9 of the leader's AZ: {took * 1000:.0f} ms")
    assert took < 5
    status = region.status()
    assert status["leader"] not in (None, leader) and status["tolerance"]["nodes"] == 0
    assert [node["live"] for node in status["nodes"]].count(False) == 1
    left = [node for node in region.nodes if node["az"] != az]
    client.put_integration_response(**api.at("/m", "GET"), statusCode="200", responseTemplates={"application/json": '{"v": 2}'})
    api.deploy()
    served_by(region, api, left, {"v": 2})
    assert region.call(api.id, "dev", "/m").json == {"v": 2}, "the balancer avoids the dead node"
    refused = region.tidegate("cluster", "remove", left[0]["node_id"], check=False)
    assert refused.returncode != 0 and "quorum" in refused.stderr, "removing a live voter now would lose the quorum"
    assert f"{az} runs and is ready" in region.tidegate("dev", "start-az", az).stdout
    served_by(region, api, region.nodes, {"v": 2})
    wait_until(lambda: len({node["state_hash"] for node in region.status()["nodes"]}) == 1, "equal states")


def test_traffic_survives_a_killed_az(own_region, measured):
    """Clients behind the balancer see no failed request other than those in flight on the killed node."""
    region = own_region
    api = deployed(region, {"v": 1})
    served_by(region, api, region.nodes, {"v": 1})
    counts = {"good": 0, "broken": 0, "wrong": 0}
    stop = threading.Event()

    def load():
        while not stop.is_set():
            try:
                answer = region.call(api.id, "dev", "/m", timeout=5)
                counts["good" if answer.status == 200 else "wrong"] += 1
            except OSError:
                counts["broken"] += 1
            except Exception:  # an answer cut off in its middle
                counts["broken"] += 1

    threads = [threading.Thread(target=load) for _ in range(4)]
    for thread in threads:
        thread.start()
    for az in ("local-1c", "local-1b"):
        region.tidegate("dev", "stop-az", az)
        before = counts["good"]
        wait_until(lambda: counts["good"] > before + 50, "requests after the kill")
        region.tidegate("dev", "start-az", az)
    stop.set()
    for thread in threads:
        thread.join()
    measured(f"traffic through two AZ kills: {counts['good']} good, {counts['broken']} broken connections, {counts['wrong']} wrong answers")
    assert counts["wrong"] == 0 and counts["broken"] <= 8


def test_the_region_comes_back_as_it_was(own_region, measured):
    region, client = own_region, own_region.client()
    api = deployed(region, {"v": 1})
    before = client.get_rest_api(restApiId=api.id)
    keys = (region.dev["access_key_id"], region.dev["secret_access_key"])
    sample = region.dev["sample"]
    region.stop()
    assert all(node["pid"] == 0 for node in region.nodes)
    wait_until(lambda: is_free(region.port) and is_free(region.gateway_port + 1), "the ports are free")
    region.start()
    measured(f"dev region with data ready again: {region.ready_seconds:.2f} s")
    assert (region.dev["access_key_id"], region.dev["secret_access_key"]) == keys and region.dev["sample"] == sample
    found = region.client().get_rest_api(restApiId=api.id)
    assert {name: found[name] for name in ("id", "name", "createdDate")} == {name: before[name] for name in ("id", "name", "createdDate")}
    served_by(region, api, region.nodes, {"v": 1})
    path = sample["url"].removeprefix(region.dev["gateway"])
    assert raw.request(region.dev["gateway"], "GET", path).status == 200
    write(region.client(), api, "after the restart")


def test_a_power_cut_loses_no_acknowledged_write(own_region):
    """kill -9 of every process while writes run; each acknowledged one is there afterwards."""
    region, client = own_region, own_region.client()
    api = Api(client)
    acknowledged = []

    def load():
        own = region.client(settles=False)
        for number in range(100_000):
            try:
                own.create_resource(restApiId=api.id, parentId=api.paths["/"], pathPart=f"r{number}")
                acknowledged.append(f"/r{number}")
            except (ClientError, BotoCoreError):
                return

    writer = threading.Thread(target=load)
    writer.start()
    wait_until(lambda: len(acknowledged) >= 60, "sixty writes")
    for pid in [node["pid"] for node in region.nodes] + [region.process.pid]:
        os.kill(pid, signal.SIGKILL)
    writer.join()
    region.process.wait()
    wait_until(lambda: is_free(region.port + 1) and is_free(region.port + 3), "the ports are free")
    region.start()
    found, position = set(), None
    while True:
        page = region.client().get_resources(restApiId=api.id, limit=500, **({"position": position} if position else {}))
        found |= {item["path"] for item in page["items"]}
        position = page.get("position")
        if not position:
            break
    assert set(acknowledged) <= found, sorted(set(acknowledged) - found)


def test_a_node_without_quorum_serves_on_even_after_a_restart(own_region):
    region, client = own_region, own_region.client()
    api = deployed(region, {"v": 1})
    served_by(region, api, region.nodes, {"v": 1})
    alone = region.nodes[0]
    for az in ("local-1b", "local-1c"):
        region.tidegate("dev", "stop-az", az)
    assert region.call(api.id, "dev", "/m", node=alone).json == {"v": 1}
    direct = region.client(settles=False, endpoint_url=alone["control"])
    with pytest.raises(ClientError) as error:
        write(direct, api, "without quorum")
    assert (error.value.response["Error"]["Code"], error.value.response["ResponseMetadata"]["HTTPStatusCode"]) == ("ServiceUnavailableException", 503)
    assert direct.get_rest_api(restApiId=api.id)["id"] == api.id, "reads go on"
    assert region.status()["tolerance"]["nodes"] == 0
    region.tidegate("dev", "stop-az", "local-1a")
    wait_until(lambda: is_free(int(alone["control"].rsplit(":", 1)[1])), "the node's ports are free")
    process = subprocess.Popen(
        [str(binary()), "node", "--config", str(region.data / "local-1a" / "node.toml")], stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=clean_environment(),
    )
    try:
        started = time.monotonic()
        # Without a pause, as whoever gets the first answer can also ask for the node's health.
        wait_until(lambda: answers(region, api, alone) == {"v": 1}, "the last configuration from disk", seconds=10, pause=0)
        assert time.monotonic() - started < 5
        wait_until(lambda: raw.request(alone["admin"], "GET", "/readyz").status == 200, "readiness without quorum", seconds=5)
        assert direct.get_rest_api(restApiId=api.id)["id"] == api.id
        with pytest.raises(ClientError) as error:
            write(direct, api, "still without quorum")
        assert error.value.response["ResponseMetadata"]["HTTPStatusCode"] == 503
    finally:
        process.stdin.close()
        process.wait(20)
    region.stop()
    region.start()
    write(region.client(), api, "with quorum again")
    served_by(region, api, region.nodes, {"v": 1})


def answers(region, api, node):
    try:
        answer = region.call(api.id, "dev", "/m", node=node, timeout=2)
    except OSError:
        return None
    return answer.json if answer.status == 200 else None


def test_a_node_that_was_away_catches_up(own_region):
    region = own_region
    region.tidegate("dev", "stop-az", "local-1b")
    apis = [deployed(region, {"n": number}) for number in range(30)]
    region.tidegate("dev", "start-az", "local-1b")
    node = region.node("local-1b")
    for number, api in enumerate(apis):
        wait_until(lambda: answers(region, api, node) == {"n": number}, f"API {number} on the node that was away")
