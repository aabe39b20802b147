"""`tidegate dev`: its verbs, its file, its refusals."""

import json
import os
import re
import socket
import stat
import subprocess

import pytest

from support import raw
from support.apis import Api
from support.region import Region, binary, clean_environment, wait_until


def run(*words, seconds=30):
    return subprocess.run([str(binary()), *map(str, words)], capture_output=True, text=True, timeout=seconds, env=clean_environment())


def test_dev_json(region):
    dev = region.dev
    assert dev["control"] == f"http://127.0.0.1:{region.port}" and dev["gateway"] == f"http://127.0.0.1:{region.gateway_port}"
    assert dev["region"] == "local-1" and re.fullmatch("AKIA[A-Z2-7]{16}", dev["access_key_id"]) and len(dev["secret_access_key"]) == 40
    assert [node["az"] for node in dev["nodes"]] == ["local-1a", "local-1b", "local-1c"]
    assert len({node["node_id"] for node in dev["nodes"]}) == 3 and all(node["pid"] for node in dev["nodes"])
    assert set(dev["sample"]) == {"api_id", "stage", "url"}
    mode = stat.S_IMODE(os.stat(region.data / "dev.json").st_mode)
    assert mode == 0o600, "the file holds a secret"


def test_dev_status(region):
    text = region.tidegate("dev", "status").stdout
    for node in region.nodes:
        assert node["az"] in text and f"pid {node['pid']}" in text
    assert json.loads(region.tidegate("dev", "status", "-o", "json").stdout) == region.dev


def test_the_greeting_names_what_one_needs(region):
    said = region.said()
    dev = region.dev
    for text in (dev["control"], dev["gateway"], dev["sample"]["url"], "tidegate env", "stop-az", dev["access_key_id"]):
        assert text in said, said
    assert dev["secret_access_key"] not in said


def test_an_unknown_az_is_named(region):
    done = region.tidegate("dev", "stop-az", "local-9z", check=False)
    assert done.returncode != 0 and "local-9z" in done.stderr and "local-1a" in done.stderr


def test_a_second_region_in_the_same_folder_is_refused(region):
    done = run("dev", "--data", region.data)
    assert done.returncode != 0 and str(region.data) in done.stderr and "--data" in done.stderr


@pytest.mark.parametrize("offset, flag, kind", [
    (0, "--port", socket.SOCK_STREAM), (2, "--port", socket.SOCK_STREAM), (3, "--port", socket.SOCK_DGRAM),
    (51, "--port", socket.SOCK_STREAM), (0, "--gateway-port", socket.SOCK_STREAM), (1, "--gateway-port", socket.SOCK_STREAM),
    (90, "--gateway-port", socket.SOCK_STREAM),
])
def test_a_taken_port_is_named_with_its_flag(tmp_path, offset, flag, kind):
    region = Region(tmp_path / "taken")
    port = (region.port if flag == "--port" else region.gateway_port) + offset
    with socket.socket(socket.AF_INET, kind) as holder:
        holder.bind(("127.0.0.1", port))
        if kind == socket.SOCK_STREAM:
            holder.listen()
        done = run(*region.command()[1:])
    assert done.returncode != 0
    assert f"port {port} " in done.stderr and flag in done.stderr, done.stderr
    assert flag == "--port" or "--port;" not in done.stderr


def test_verbs_without_a_region_say_what_to_do(tmp_path):
    for words in (["dev", "status"], ["dev", "stop-az", "local-1a"], ["cluster", "status"], ["env"]):
        done = run(*words, "--data", tmp_path)
        assert done.returncode != 0 and "tidegate dev" in done.stderr, (words, done.stderr)


def test_help_and_version():
    text = run("--help").stdout
    for verb in ("dev", "env", "node", "cluster"):
        assert verb in text
    assert re.fullmatch(r"tidegate \d+\.\d+\.\d+\S*\n", run("--version").stdout)
    assert run("nonsense").returncode == 2


def test_reset_removes_every_api(own_region):
    region, client = own_region, own_region.client()
    apis = [Api(client).mock("/m") for _ in range(3)]
    for api in apis:
        api.deploy()
    answer = raw.request(region.dev["control"], "POST", "/_tidegate/dev/reset", {}, b"")
    assert answer.status == 200 and answer.json["records"] > 0, "a development region needs no signature for this"
    assert client.get_rest_apis()["items"] == []
    for node in region.nodes:
        wait_until(lambda: region.call(apis[0].id, "dev", "/m", node=node).status == 403, "the API is gone on every node")
    Api(client, "after the reset").mock("/m").deploy()
    region.tidegate("dev", "reset")
    assert client.get_rest_apis()["items"] == [] and "sample" not in region.dev
    assert region.client("sts").get_caller_identity()["Account"] == "000000000000", "keys and members stay"
    assert len(region.status()["nodes"]) == 3


def test_one_az_and_reset_flag(tmp_path):
    region = Region(tmp_path / "single", azs=1)
    try:
        region.start()
        api = Api(region.client()).mock("/m")
        api.deploy()
        wait_until(lambda: region.call(api.id, "dev", "/m").status == 200, "served by a single node")
        region.stop()
        region.start("--reset")
        assert [item["name"] for item in region.client().get_rest_apis()["items"]] == ["PetStore"]
    finally:
        region.stop()


def test_two_regions(tmp_path):
    """Two regions of two zones: writes through either, the same configuration in both."""
    region = Region(tmp_path / "two", azs=2)
    # The second region's ports stand a hundred above the first one's.
    region.start("--regions", "2")
    try:
        places = {(node["region"], node["az"]) for node in region.nodes}
        assert places == {("local-1", "local-1a"), ("local-1", "local-1b"), ("local-2", "local-2a"), ("local-2", "local-2b")}
        api = Api(region.client()).mock("/m")
        api.deploy()
        for node in region.nodes:
            wait_until(lambda: region.call(api.id, "dev", "/m", node=node).status == 200, f"served in {node['az']}")
        second = next(node for node in region.nodes if node["region"] == "local-2")
        region.client(endpoint_url=second["control"], region_name="local-2").create_rest_api(name="from the other region")
    finally:
        region.stop()
