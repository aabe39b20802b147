"""A majority that is lost for good: the last node goes on alone."""

import json

from botocore.exceptions import ClientError

from support import raw
from support.apis import Api
from support.region import wait_until


def test_the_last_node_takes_writes_again(own_region, measured):
    client = own_region.client()
    api = Api(client).mock("/m", body={"kept": True})
    api.deploy()
    node = own_region.node("local-1a")
    wait_until(lambda: own_region.call(api.id, "dev", "/m", node=node).status == 200, "the API on the node")
    config = own_region.data / "local-1a" / "node.toml"
    busy = own_region.tidegate("cluster", "recover", "--config", config, check=False)
    assert busy.returncode != 0, "a running node is left alone"
    for az in ("local-1c", "local-1b"):
        own_region.tidegate("dev", "stop-az", az)
    alone = own_region.client(settles=False, endpoint_url=node["control"])
    try:
        Api(alone)
        raise AssertionError("there is no quorum")
    except ClientError as error:
        assert error.response["ResponseMetadata"]["HTTPStatusCode"] == 503
        assert error.response["ResponseMetadata"]["HTTPHeaders"]["retry-after"] == "1"
    own_region.tidegate("dev", "stop-az", "local-1a")
    plan = own_region.tidegate("cluster", "recover", "--config", config).stdout
    assert "node 1 would become the only member" in plan and "--yes" in plan
    done = own_region.tidegate("cluster", "recover", "--config", config, "--yes", "-o", "json").stdout
    assert json.loads(done)["recovered"] and json.loads(done)["node"] == 1
    own_region.tidegate("dev", "start-az", "local-1a")
    wait_until(lambda: raw.request(node["admin"], "GET", "/readyz").status == 200, "ready", seconds=20)
    assert own_region.call(api.id, "dev", "/m", node=node).json == {"kept": True}
    wait_until(lambda: writes(alone), "a write", seconds=10)
    status = json.loads(own_region.tidegate("cluster", "status", "-o", "json", "--endpoint-url", node["control"]).stdout)
    assert [one["node"] for one in status["nodes"]] == [1]


def writes(client):
    try:
        Api(client)
        return True
    except ClientError:
        return False
