"""Zonal shifts: traffic and leaders leave an availability zone, and come back."""

import contextlib
import http.client
import json
from urllib.parse import urlsplit

import pytest

from support import raw
from support.apis import Api
from support.region import Region, wait_until


@pytest.fixture(scope="module")
def shifted(scratch):
    """A region whose zones are shifted; each test cancels what it started."""
    region = Region(scratch / "shifted")
    try:
        yield region.start()
    finally:
        region.stop()


@contextlib.contextmanager
def shift(region, az, *more):
    region.tidegate("zonal-shift", "start", az, *more)
    try:
        yield
    finally:
        region.tidegate("zonal-shift", "cancel", az)


def readiness(node):
    return raw.request(node["admin"], "GET", "/readyz?verbose")


def listed(region):
    return json.loads(region.tidegate("zonal-shift", "list", "-o", "json").stdout)["zonal_shifts"]


def test_readiness_leaders_and_clients_leave_the_zone_and_come_back(shifted):
    api = Api(shifted.client()).mock("/m", body={"up": True})
    api.deploy()
    status = wait_until(lambda: (found := shifted.status())["leader"] and found, "a leader")
    leader = next(node for node in status["nodes"] if node["node"] == status["leader"])
    node = shifted.node(leader["az"])
    wait_until(lambda: shifted.call(api.id, "dev", "/m", node=node).status == 200, "the API on the node")
    place = urlsplit(node["gateway"])
    kept = http.client.HTTPConnection(place.hostname, place.port, timeout=10)

    def ask():
        kept.request("GET", "/dev/m", headers={"Host": shifted.host(api.id)})
        answer = kept.getresponse()
        answer.read()
        return answer

    assert ask().getheader("connection") != "close"
    with shift(shifted, leader["az"], "--comment", "rehearsal"):
        found = wait_until(lambda: (answer := readiness(node)).status == 503 and answer, "503 from /readyz", seconds=5)
        assert "shifted away" in found.text
        wait_until(lambda: shifted.status()["leader"] not in (None, leader["node"]), "another leader", seconds=10)
        assert shifted.call(api.id, "dev", "/m", node=node).json == {"up": True}, "who comes all the same is answered"
        wait_until(lambda: is_gone(kept, shifted, api), "the kept connection is asked to leave", seconds=10)
        others = [one for one in shifted.nodes if one["az"] != leader["az"]]
        assert [readiness(one).status for one in others] == [200, 200]
    wait_until(lambda: readiness(node).status == 200, "200 from /readyz", seconds=5)
    api.delete()


def is_gone(connection, region, api):
    """Whether the server asked for, or did, the end of the connection."""
    if connection.sock is None:
        return True
    try:
        connection.request("GET", "/dev/m", headers={"Host": region.host(api.id)})
        answer = connection.getresponse()
        answer.read()
        assert answer.status == 200
        return answer.getheader("connection") == "close"
    except (http.client.RemoteDisconnected, ConnectionError):
        return True


def test_list_and_its_ends(shifted):
    assert listed(shifted) == []
    assert "no availability zone" in shifted.tidegate("zonal-shift", "list").stdout
    with shift(shifted, "local-1b", "--expires-in", "15m", "--comment", "power work"):
        (one,) = listed(shifted)
        assert (one["region"], one["az"], one["comment"]) == ("local-1", "local-1b", "power work")
        assert 880 < one["expires_in_s"] <= 900
        shifted.tidegate("zonal-shift", "start", "local-1b", "--expires-in", "2h", "--comment", "longer")
        (again,) = listed(shifted)
        assert again["since"] == one["since"] and again["expires_in_s"] > 7_000 and again["comment"] == "longer"
    assert listed(shifted) == []


def test_the_last_zone_stays(shifted):
    with shift(shifted, "local-1a"), shift(shifted, "local-1b"):
        done = shifted.tidegate("zonal-shift", "start", "local-1c", check=False)
        assert done.returncode != 0 and "is the last of region local-1" in done.stderr


@pytest.mark.parametrize("words, said", [
    (["start", "local-9z"], "Invalid az 'local-9z', must be one of local-1/local-1a"),
    (["start", "elsewhere/local-1a"], "Invalid az 'local-1a', must be one of local-1/local-1a"),
    (["start", "local-1a", "--expires-in", "59"], "Invalid expires_in_s '59', must be from 60 to 259200 seconds"),
    (["start", "local-1a", "--expires-in", "4d"], "Invalid expires_in_s '345600'"),
    (["start", "local-1a", "--expires-in", "soon"], "'soon' must be seconds"),
    (["start", "local-1a", "--comment", "x" * 129], "Invalid comment, must have at most 128 characters"),
    (["cancel", "local-1a"], "no zone local-1a is shifted away"),
    (["cancel", "local-1/local-1a"], "is not shifted"),
])
def test_what_makes_no_sense_is_refused(shifted, words, said):
    done = shifted.tidegate("zonal-shift", *words, check=False)
    assert done.returncode != 0 and said in done.stderr, done.stderr
    assert listed(shifted) == []
