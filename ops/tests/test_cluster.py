"""Members and what is done with them: status, drain, leadership, checkpoints, a node that joins and leaves."""

import contextlib
import json
import signal
import subprocess

import pytest
from botocore.exceptions import ClientError

from support import raw
from support.apis import Api
from support.region import Region, binary, clean_environment, free_block, wait_until


@pytest.fixture(scope="module")
def members(scratch):
    """A region whose members these tests move around; each test leaves it whole."""
    region = Region(scratch / "members")
    try:
        yield region.start()
    finally:
        region.stop()


@pytest.fixture
def served(members):
    """A deployed API with one method."""
    api = Api(members.client()).mock("/m", body={"up": True})
    api.deploy()
    settle(members)
    yield api
    with contextlib.suppress(ClientError):
        api.delete()


def settle(region, count=3):
    """Waits until all members are ready and have the same state; the status."""
    def whole():
        status = region.status()
        nodes = status["nodes"]
        ready = len(nodes) == count and all(node["live"] and node["ready"] and not node["draining"] for node in nodes)
        same = len({node["state_hash"] for node in nodes}) == 1 and all(node["serving_revision"] >= status["revision"] for node in nodes)
        return status if ready and same and status["leader"] else None

    return wait_until(whole, lambda: f"all ready and equal, last: {region.status()}", seconds=20)


def by_az(status):
    return sorted(status["nodes"], key=lambda node: node["az"])


def readiness(node):
    return raw.request(node["admin"], "GET", "/readyz?verbose")


def test_status(members):
    status = settle(members)
    assert status["cluster"] == "dev" and status["term"] >= 1 and status["revision"] > 0
    assert status["tolerance"] == {"nodes": 1, "azs": 1, "regions": 0}
    assert sorted(node["role"] for node in status["nodes"]) == ["leader", "voter", "voter"]
    assert [node["az"] for node in by_az(status)] == ["local-1a", "local-1b", "local-1c"]
    assert [node["node"] for node in status["nodes"]] == [1, 2, 3]
    assert status["leader"] == next(node["node"] for node in status["nodes"] if node["role"] == "leader")
    for node, planned in zip(by_az(status), members.nodes, strict=True):
        assert node["node"] == planned["node_id"] and node["region"] == "local-1"
        assert f"http://{node['gateway_address']}" == planned["gateway"] and f"http://{node['control_address']}" == planned["control"]
        assert node["last_contact_ms"] < 5_000 and len(node["state_hash"]) == 32 and node["version"]


def test_status_reads_as_a_table(members):
    lines = members.tidegate("cluster", "status").stdout.splitlines()
    assert lines[0].startswith("cluster dev: leader ") and lines[1].startswith("NODE")
    assert len(lines) == 6 and lines[-1] == "survives the loss of 1 more node(s), 1 more AZ(s), 0 more region(s)"


def test_every_node_tells_the_same(members):
    for node in members.nodes:
        text = members.tidegate("cluster", "status", "-o", "json", "--endpoint-url", node["control"]).stdout
        status = json.loads(text)
        assert status["answered_by"] == node["node_id"] and len(status["nodes"]) == 3


def test_drain_turns_readiness_red_and_back(members, served):
    node = members.nodes[1]
    assert readiness(node).status == 200
    members.tidegate("cluster", "drain", node["node_id"])
    try:
        answer = wait_until(lambda: (found := readiness(node)).status == 503 and found, "503 from /readyz")
        assert "drain" in answer.text, answer
        drained = next(one for one in members.status()["nodes"] if one["node"] == node["node_id"])
        assert drained["draining"] and not drained["ready"] and drained["live"]
        assert members.call(served.id, "dev", "/m", node=node).json == {"up": True}, "a drained node still answers"
        assert raw.request(node["admin"], "GET", "/livez").status == 200
    finally:
        members.tidegate("cluster", "drain", node["node_id"], "--undo")
    wait_until(lambda: readiness(node).status == 200, "200 from /readyz")


def test_draining_the_leader_moves_leadership(members):
    leader = settle(members)["leader"]
    members.tidegate("cluster", "drain", leader)
    try:
        wait_until(lambda: members.status()["leader"] not in (None, leader), "another leader")
    finally:
        members.tidegate("cluster", "drain", leader, "--undo")
    settle(members)


def test_transfer_moves_leadership_where_asked(members, served):
    for node in members.nodes:
        said = members.tidegate("cluster", "transfer", "--to", node["node_id"]).stdout
        assert f"node {node['node_id']} leads" in said
        wait_until(lambda: members.status()["leader"] == node["node_id"], "the new leader in status")
        members.client().update_rest_api(
            restApiId=served.id, patchOperations=[{"op": "replace", "path": "/description", "value": node["az"]}]
        )


def test_errors_name_the_node(members):
    for words in (["drain", "99"], ["transfer", "--to", "99"], ["remove", "99"]):
        done = members.tidegate("cluster", *words, check=False)
        assert done.returncode != 0 and "99" in done.stderr, (words, done.stderr)


def test_checkpoint_saves_and_restores(members, tmp_path):
    client = members.client()
    kept = Api(client, "kept").mock("/m", body={"kept": True})
    kept.deploy()
    file = tmp_path / "config.checkpoint"
    assert "bytes written to" in members.tidegate("cluster", "checkpoint", "save", file).stdout
    assert file.stat().st_size > 0
    later = Api(client, "later").mock("/m")
    later.deploy()
    kept.delete()
    assert "records restored" in members.tidegate("cluster", "checkpoint", "restore", file).stdout
    names = [api["name"] for api in client.get_rest_apis(limit=500)["items"]]
    assert "kept" in names and "later" not in names
    settle(members)
    for node in members.nodes:
        wait_until(lambda: members.call(kept.id, "dev", "/m", node=node).status == 200, "the restored API on every node")
        wait_until(lambda: members.call(later.id, "dev", "/m", node=node).status == 403, "the later API gone on every node")
    kept.delete()


def test_a_damaged_checkpoint_changes_nothing(members, served, tmp_path):
    file = tmp_path / "config.checkpoint"
    members.tidegate("cluster", "checkpoint", "save", file)
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 0xFF
    for damaged in (bytes(data), bytes(data[: len(data) // 2]), b"", b"not a checkpoint"):
        file.write_bytes(damaged)
        done = members.tidegate("cluster", "checkpoint", "restore", file, check=False)
        assert done.returncode != 0 and done.stderr.strip(), damaged[:20]
    assert members.client().get_rest_api(restApiId=served.id)["id"] == served.id


# A fourth node, by hand

CONFIG = """
[node]
region = "local-1"
az = "local-1d"
data_dir = "{folder}/data"
[cluster]
listen = "127.0.0.1:{port}"
{token}
[control]
listen = "127.0.0.1:{port}"
[gateway]
listen = "127.0.0.1:{gateway}"
shards = 1
[admin]
listen = "127.0.0.1:{admin}"
"""


class Node:
    """A node process with a configuration file of its own."""

    def __init__(self, folder, token=None):
        self.folder, self.port = folder, free_block(3)
        folder.mkdir(exist_ok=True)
        self.config, self.log = folder / "node.toml", folder / "node.log"
        self.gateway, self.admin, self.control = (f"http://127.0.0.1:{self.port + add}" for add in (1, 2, 0))
        self.write(f'join_token = "{token}"' if token else "")
        self.process = None

    def write(self, token):
        self.config.write_text(
            CONFIG.format(folder=self.folder, port=self.port, gateway=self.port + 1, admin=self.port + 2, token=token)
        )

    def start(self):
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                [str(binary()), "node", "--config", str(self.config)], stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=clean_environment()
            )
        return self

    def stop(self, how=signal.SIGTERM):
        if self.process and self.process.poll() is None:
            self.process.send_signal(how)
            try:
                return self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
                raise
        return self.process and self.process.returncode

    def ended(self):
        return self.process.poll() is not None


@contextlib.contextmanager
def running(node):
    try:
        yield node.start()
    finally:
        with contextlib.suppress(subprocess.TimeoutExpired):
            node.stop()


@pytest.fixture
def guests(members):
    """Removes whoever joined, so that one failure does not become many."""
    yield
    for node in members.status()["nodes"]:
        if node["az"] == "local-1d":
            members.tidegate("cluster", "remove", node["node"], check=False)


def new_token(region):
    return region.tidegate("cluster", "token").stdout.strip()


def ready(node):
    def check():
        if node.ended():
            raise AssertionError(f"the node ended with {node.process.returncode}:\n{node.log.read_text()[-3000:]}")
        with contextlib.suppress(OSError):
            return raw.request(node.admin, "GET", "/readyz").status == 200

    wait_until(check, lambda: f"ready:\n{node.log.read_text()[-3000:]}", seconds=30)


def fourth(members):
    return next((node for node in members.status()["nodes"] if node["az"] == "local-1d"), None)


def test_a_node_joins_serves_restarts_and_leaves(members, served, guests, tmp_path):
    node = Node(tmp_path / "fourth", new_token(members))
    with running(node):
        ready(node)
        wait_until(lambda: (found := fourth(members)) and found["live"] and found["ready"], "the fourth node in status")
        assert fourth(members)["role"] == "learner", "three AZs hold the seats already"
        url = {"gateway": node.gateway}
        wait_until(lambda: members.call(served.id, "dev", "/m", node=url).status == 200, "the API on the new node")
        members.client(endpoint_url=node.control).update_stage(
            restApiId=served.id, stageName="dev", patchOperations=[{"op": "replace", "path": "/variables/a", "value": "1"}]
        )
        assert node.stop() == 0, "a node that is asked to stop ends well"
        node.write("")
        node.start()
        ready(node)
        wait_until(lambda: members.call(served.id, "dev", "/m", node=url).status == 200, "the API after a restart")
        identity = fourth(members)["node"]
        said = members.tidegate("cluster", "remove", identity).stdout
        assert f"node {identity} is removed" in said
        wait_until(lambda: fourth(members) is None, "three members again")
    settle(members)


def test_join_by_the_command_line(members, guests, tmp_path):
    node = Node(tmp_path / "fourth")
    said = members.tidegate("cluster", "join", "--config", node.config, "--token", new_token(members)).stdout
    assert "has joined" in said
    with running(node):
        ready(node)
        found = wait_until(lambda: (one := fourth(members)) and one["live"] and one, "the fourth node in status")
    members.tidegate("cluster", "remove", found["node"])
    settle(members)


def test_a_token_admits_one_node_only(members, guests, tmp_path):
    token = new_token(members)
    first, second = Node(tmp_path / "first", token), Node(tmp_path / "second", token)
    with running(first):
        ready(first)
        found = wait_until(lambda: fourth(members), "the first one in status")
        with running(second):
            wait_until(second.ended, "the second one ends", seconds=30)
            assert second.process.returncode != 0 and "token" in second.log.read_text().lower(), second.log.read_text()
    members.tidegate("cluster", "remove", found["node"])
    settle(members)


@pytest.mark.parametrize("change", ["garbage", "secret"])
def test_a_wrong_token_is_refused(members, guests, tmp_path, change):
    token = "tg1.nonsense" if change == "garbage" else flipped(new_token(members))
    node = Node(tmp_path / "fourth", token)
    with running(node):
        wait_until(node.ended, "the node ends", seconds=30)
    assert node.process.returncode != 0 and node.log.read_text().strip()
    assert fourth(members) is None


def flipped(token):
    """The token with one character in its last quarter exchanged."""
    at = len(token) - len(token) // 4
    return token[:at] + ("A" if token[at] != "A" else "B") + token[at + 1:]


def test_a_node_without_identity_and_token_says_what_to_do(tmp_path):
    node = Node(tmp_path / "alone")
    with running(node):
        wait_until(node.ended, "the node ends", seconds=20)
    text = node.log.read_text()
    assert node.process.returncode != 0 and "token" in text and "bootstrap" in text, text


WRONG_CONFIG = [
    ('region = "local-1"', 'region = "LOCAL"', ["node.region", "LOCAL"]),
    ("[admin]", "[admins]", ["admins"]),
    ('az = "local-1d"', "", ["az"]),
    ("shards = 1", "shards = 1000", ["gateway.shards", "1000", "256"]),
]


@pytest.mark.parametrize("old, new, names", WRONG_CONFIG, ids=[case[2][0] for case in WRONG_CONFIG])
def test_configuration_errors_name_key_and_rule(tmp_path, old, new, names):
    node = Node(tmp_path / "wrong")
    node.config.write_text(node.config.read_text().replace(old, new))
    done = subprocess.run([str(binary()), "node", "--config", str(node.config)], capture_output=True, text=True, timeout=20, env=clean_environment())
    assert done.returncode != 0
    for name in [*names, "node.toml"]:
        assert name in done.stderr, done.stderr
