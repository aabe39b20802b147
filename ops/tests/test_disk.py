"""A node whose disk takes no writes, or whose files were damaged while it was down."""

import random
import resource
import signal
import subprocess

import pytest

from support import raw
from support.apis import Api
from support.region import Region, binary, clean_environment, wait_until


def readiness(node):
    answer = raw.request(node["admin"], "GET", "/readyz?verbose")
    return answer.status, answer.body.decode()


def metric(node, name):
    lines = raw.request(node["admin"], "GET", "/metrics").body.decode().splitlines()
    found = [line for line in lines if line.startswith(f"tidegate_{name}") and not line.startswith("#")]
    return sum(float(line.rsplit(" ", 1)[1]) for line in found)


def is_listening(node):
    try:
        readiness(node)
        raw.request(node["gateway"], "GET", "/")
        return True
    except ConnectionError:
        return False


def deployed(region, body):
    api = Api(region.client()).mock("/m", body=body)
    api.deploy()
    for node in region.nodes:
        wait_until(lambda: region.call(api.id, "dev", "/m", node=node).status == 200, f"the API on {node['az']}")
    return api


def writes_nothing():
    """Every write to a file fails from now on, for whoever is started here; no right is needed for that."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))


def test_a_disk_that_takes_no_writes(own_region, measured):
    region = own_region
    api = deployed(region, {"v": 1})
    node = region.node("local-1c")
    region.tidegate("dev", "stop-az", "local-1c")
    config = region.data / "local-1c" / "node.toml"
    started = subprocess.Popen(
        [binary(), "node", "--config", config],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=clean_environment(),
        preexec_fn=writes_nothing,
        restore_signals=False,
    )
    try:
        wait_until(lambda: is_listening(node), "its process", seconds=5)
        wait_until(lambda: region.call(api.id, "dev", "/m", node=node).json == {"v": 1}, "it serves what it has", seconds=5)
        wait_until(lambda: "degraded: the disk cannot be used" in readiness(node)[1], "it says why")
        assert readiness(node)[0] == 503 and metric(node, "disk_refused") == 1
        api.client.update_rest_api(restApiId=api.id, patchOperations=[{"op": "replace", "path": "/description", "value": "two of three"}])
        live = {one["node"]: one["live"] for one in region.status()["nodes"]}
        assert live[node["node_id"]] is False, "it takes no part"
        resource.prlimit(started.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        wait_until(lambda: readiness(node)[0] == 200, "it is back", seconds=10)
        assert metric(node, "disk_refused") == 0
        wait_until(lambda: len({one["state_hash"] for one in region.status()["nodes"]}) == 1, "it has what it missed")
        assert started.poll() is None, "it is the same process"
    finally:
        started.kill()
        started.wait()


def test_flipped_bits(own_region, measured):
    region = own_region
    api = deployed(region, {"v": 1})
    for number in range(30):
        api.client.update_rest_api(restApiId=api.id, patchOperations=[{"op": "replace", "path": "/description", "value": str(number)}])
    node = next(one for one in region.nodes if one["node_id"] != region.status()["leader"])
    damages, chance = 0, random.Random(7)
    for _ in range(6):
        region.tidegate("dev", "stop-az", node["az"])
        log = region.data / node["az"] / "log" / "db"
        whole = bytearray(log.read_bytes())
        filled = len(whole.rstrip(b"\0"))
        for _ in range(8):
            bit = chance.randrange(filled * 8)
            whole[bit // 8] ^= 1 << bit % 8
        log.write_bytes(whole)
        region.tidegate("dev", "start-az", node["az"])
        node = region.node(node["az"])
        wait_until(lambda: readiness(node)[0] == 200 and metric(node, "raft_log_damaged") == 0, "it is whole", seconds=20)
        damages += metric(node, "disk_damages_total")
        wait_until(lambda: len({one["state_hash"] for one in region.status()["nodes"]}) == 1, "it has what it missed")
        assert region.call(api.id, "dev", "/m", node=node).json == {"v": 1}
    measured(f"damaged logs found in 6 starts: {damages:.0f}")
    assert damages > 0


@pytest.mark.parametrize("every", [13, 21])
def test_a_region_begins_on_disks_that_stand_still_now_and_then(tmp_path, every):
    """Longer than a write waits for its outcome: joins, the sample and the certificate are made nevertheless, each once."""
    region = Region(tmp_path / "slow")
    shim = binary().parent / "libtidegate_chaos_shim.so"
    try:
        region.start(environment={"LD_PRELOAD": str(shim), "TIDEGATE_SYNC_STALL": f"{every}:1200"})
        assert sorted(node["node_id"] for node in region.nodes) == [1, 2, 3]
        assert [member["node"] for member in region.status()["nodes"]] == [1, 2, 3], "nobody was let in twice"
        assert [item["name"] for item in region.client().get_rest_apis()["items"]] == ["PetStore"]
        path = region.dev["sample"]["url"].removeprefix(region.dev["gateway"])
        wait_until(lambda: raw.request(region.dev["gateway"], "GET", path).status == 200, "the sample")
    finally:
        region.stop()
