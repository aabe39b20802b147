"""A node that keeps crashing serves what it ran with before, and tries the next configuration."""

import json
import shutil

from support import raw
from support.apis import Api
from support.region import wait_until

AZ = "local-1b"


def deploy(api, version):
    template = {"application/json": json.dumps({"version": version})}
    api.client.put_integration_response(**api.at("/v", "GET"), statusCode="200", responseTemplates=template)
    api.deploy()


def test_what_was_proven_is_served_until_there_is_something_new(own_region):
    node = own_region.node(AZ)
    api = Api(own_region.client()).mock("/v", body={"version": 1})

    def serves(version, on=node):
        answer = own_region.call(api.id, "dev", "/v", node=on)
        return answer.status == 200 and answer.json == {"version": version}

    def is_held():
        lines = raw.request(node["admin"], "GET", "/metrics").body.decode().splitlines()
        [line] = [line for line in lines if line.startswith("tidegate_crash_loop")]
        return float(line.rsplit(" ", 1)[1]) == 1

    api.deploy()
    wait_until(lambda: serves(1), "the first version")
    # A configuration is proven when a node ran with it for a minute; the test has none.
    folder = own_region.data / AZ
    snapshot = next(folder.rglob("serving.snapshot"))
    wait_until(lambda: api.id.encode() in snapshot.read_bytes(), "the first version on disk")
    shutil.copy(snapshot, snapshot.with_name("serving.proven"))
    deploy(api, 2)
    wait_until(lambda: serves(2), "the second version")
    for ends in range(1, 4):
        own_region.tidegate("dev", "stop-az", AZ)
        own_region.tidegate("dev", "start-az", AZ)
        wait_until(lambda: serves(2 if ends < 3 else 1), f"traffic after {ends} crashes")
    assert is_held()
    others = [other for other in own_region.nodes if other["az"] != AZ]
    assert others and all(serves(2, on=other) for other in others), "the others go on"
    deploy(api, 3)
    wait_until(lambda: serves(3), "the next version on the node that crashed")
    assert not is_held()
