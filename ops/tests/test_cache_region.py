"""The cache of a region under load and in trouble: what a flush, a purge or a deployment took out is served by no node any more."""

import os
import resource
import selectors
import signal
import socket
import threading
import time
from urllib.parse import urlsplit

import pytest

from support.caching import Cached, own, settle
from support.raw import http
from support.region import suspend, wait_until

# How long a node serves stored answers without hearing of the others, and what a flush adds to that, in seconds.
CURRENT_SECONDS, MARGIN_SECONDS = 5, 0.5
# 10000 is the slow variant: CACHE_STAMPEDE=10000.
STAMPEDE = int(os.environ.get("CACHE_STAMPEDE", "1000"))


class Load:
    """Clients at every node that ask for one path again and again, each on a connection of its own."""

    def __init__(self, api, path, clients=3):
        self.api, self.path, self.answers, self.done = api, path, [], threading.Event()
        self.threads = [threading.Thread(target=self.work, args=(node,)) for node in api.region.nodes for _ in range(clients)]

    def work(self, node):
        place = urlsplit(node["gateway"])
        connection = http.client.HTTPConnection(place.hostname, place.port, timeout=20)
        while not self.done.is_set():
            started = time.monotonic()
            connection.request("GET", f"/dev{self.path}", headers={"Host": self.api.region.host(self.api.id)})
            reply = connection.getresponse()
            body = reply.read()
            self.answers.append((started, time.monotonic(), node["az"], reply.status, body))
        connection.close()

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.done.set()
        for thread in self.threads:
            thread.join()


def number(body):
    """The number in an answer of the origin, without reading the rest of the document."""
    return int(body.rsplit(b'"n": ', 1)[1].rstrip(b"}"))


def test_after_a_flush_no_node_serves_an_older_answer(cached, origin, measured):
    api = cached()
    flushes, took = [], []
    with Load(api, "/load") as load:
        wait_until(lambda: len(load.answers) > 100, "load")
        for _ in range(25):
            before = origin.count("/load")
            started = time.monotonic()
            api.flush()
            flushes.append((time.monotonic(), before))
            took.append(flushes[-1][0] - started)
    for started, _, az, status, body in load.answers:
        assert status == 200
        newest = max((before for returned, before in flushes if returned < started), default=0)
        assert number(body) > newest, f"{az} serves answer {number(body)} after a flush at answer {newest}"
    asked = origin.count("/load")
    assert len(api.region.nodes) <= asked <= len(api.region.nodes) * (len(flushes) + 1) + 5, "between two flushes a node asks once"
    took.sort()
    measured(f"flush under load on three nodes: {took[len(took) // 2] * 1e3:.0f} ms in the middle, {took[-1] * 1e3:.0f} ms at most; "
             f"{len(load.answers)} answers, {asked} of the upstream")
    assert took[len(took) // 2] < 1


def test_after_a_purge_nobody_is_handed_what_was_on_its_way(cached, origin):
    api = cached()
    origin.plan("/slow", pause=0.8)
    found = []
    first = threading.Thread(target=lambda: found.append(api.number("/slow")))
    first.start()
    wait_until(lambda: origin.count("/slow") == 1, "the first call")
    assert api.purge(prefix="/sl")
    assert api.number("/slow") == 2, "the call that is on its way is older than the purge"
    first.join()
    assert found == [1] and api.number("/slow") == 2


def test_a_new_deployment_is_never_answered_from_the_older_one(client, cached, origin):
    api = cached()
    at = api.api.at("/{proxy+}", "ANY")
    with Load(api, "/d", clients=2) as load:
        for version in range(1, 6):
            operations = [{"op": "replace", "path": "/uri", "value": f"{origin.url}/v{version}/{{proxy}}"}]
            client.update_integration(**at, patchOperations=operations)
            api.api.deploy()
            settle(api.region)
            served = time.monotonic()
            time.sleep(0.1)
            fresh = [body for started, _, _, _, body in load.answers if started > served]
            assert fresh and all(f'"/v{version}/d"'.encode() in body for body in fresh), version
    # Not even for a moment: what a node has served once, it does not go behind.
    for node in api.region.nodes:
        answers = sorted((answer for answer in load.answers if answer[2] == node["az"]), key=lambda answer: answer[0])
        ends = sorted((ended, version_of(body)) for _, ended, _, _, body in answers)
        seen, newest = 0, 0
        for started, _, _, status, body in answers:
            while seen < len(ends) and ends[seen][0] < started:
                newest, seen = max(newest, ends[seen][1]), seen + 1
            assert status == 200 and version_of(body) >= newest


def version_of(body):
    at = body.find(b'"target": "/v')
    return 0 if at < 0 else int(body[at + 13 : at + 14])


def test_a_part_is_purged_and_the_rest_stays(cached, origin):
    api = cached()
    origin.plan("/tags/1", lines=[("Cache-Tag", "red, blue"), ("Surrogate-Key", "big small")])
    origin.plan("/tags/2", lines=[("Cache-Tag", "red")])
    api.api.proxy("/other", f"{origin.url}/other", "GET")
    api.api.deploy()
    settle(api.region)
    paths = ["/a/1", "/a/2", "/ab", "/tags/1", "/tags/2", "/other"]
    nodes = api.region.nodes
    for part, gone in (
        ({"prefix": "/a/"}, {"/a/1", "/a/2"}), ({"prefix": "/a"}, {"/a/1", "/a/2", "/ab"}), ({"tag": "blue"}, {"/tags/1"}), ({"tag": "small"}, {"/tags/1"}),
        ({"tag": "red"}, {"/tags/1", "/tags/2"}), ({"tag": "re"}, set()), ({"resource": "/other"}, {"/other"}), ({"resource": "/{proxy+}"}, set(paths) - {"/other"}),
        ({"resource": "/other", "method": "GET"}, {"/other"}), ({"method": "POST"}, set()), ({"method": "GET"}, set(paths)), ({"tag": "red", "prefix": "/tags/2"}, {"/tags/2"}),
    ):
        before = {(path, node["az"]): api.number(path, node=node) for path in paths for node in nodes}
        assert api.purge(**part)
        newest = {path: origin.count(path) for path in paths}
        for path in paths:
            for node in nodes:
                found = api.number(path, node=node)
                assert (found > newest[path]) if path in gone else (found == before[path, node["az"]]), (part, path, node["az"])
    assert not api.purge() and api.number("/ab") > newest["/ab"]


def stampede(url, head, count):
    """Opens connections, sends the same request on all of them at once, and returns what each received."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = min(hard, count + 1_000) if hard > 0 else count + 1_000
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
    place = urlsplit(url)
    streams = [socket.create_connection((place.hostname, place.port), timeout=20) for _ in range(count)]
    received, selector = {stream: b"" for stream in streams}, selectors.DefaultSelector()
    try:
        for stream in streams:
            stream.sendall(head)
        for stream in streams:
            stream.setblocking(False)
            selector.register(stream, selectors.EVENT_READ)
        deadline = time.monotonic() + 60
        while selector.get_map() and time.monotonic() < deadline:
            for key, _ in selector.select(1):
                piece = key.fileobj.recv(65_536)
                received[key.fileobj] += piece
                if not piece:
                    selector.unregister(key.fileobj)
    finally:
        for stream in streams:
            stream.close()
    return list(received.values())


@pytest.mark.parametrize("tags", [None, {"tidegate:cache": "rfc9111"}], ids=["aws", "rfc9111"])
def test_all_who_miss_at_once_wait_for_one_request(region, cached, origin, measured, tags):
    api = cached(tags, **({} if tags else {"ttlInSeconds": "1"}))
    origin.plan("/herd", lines=[("Cache-Control", "max-age=1")])
    assert api.number("/herd") == 1
    time.sleep(1.1)
    origin.plan("/herd", lines=[("Cache-Control", "max-age=300")], pause=1 + STAMPEDE / 2_000)
    if not tags:
        # Settings of methods have a burst, of which each node has a share; this herd is above it.
        api.set(("/*/*/caching/ttlInSeconds", "300"), ("/*/*/throttling/burstLimit", str(100 * STAMPEDE)), ("/*/*/throttling/rateLimit", str(100 * STAMPEDE)))
    head = f"GET /dev/herd HTTP/1.1\r\nHost: {region.host(api.id)}\r\nConnection: close\r\n\r\n".encode()
    started = time.monotonic()
    answers = stampede(region.nodes[0]["gateway"], head, STAMPEDE)
    took = time.monotonic() - started
    assert all(answer.startswith(b"HTTP/1.1 200") for answer in answers), [answer for answer in answers if not answer.startswith(b"HTTP/1.1 200")][:3]
    assert {number(answer) for answer in answers} == {2} and origin.count("/herd") == 2
    measured(f"{STAMPEDE} connections on one expired key: one request, all answered after {took:.2f} s with an upstream that takes {1 + STAMPEDE / 2_000:.1f} s")


@pytest.fixture
def own_cached(own_region, origin):
    """Makes cached stages in a region that the test may break."""
    client = own_region.client()
    return lambda **given: Cached(own_region, client, origin, **({"ttlInSeconds": "300"} | given))


def bypasses(api, path, node):
    """Whether a node asks the upstream for each request."""
    return api.number(path, node=node) < api.number(path, node=node)


def test_a_node_that_is_cut_off_stops_serving_what_it_cannot_vouch_for(own_region, own_cached, measured):
    region = own_region
    api, bold = own_cached(), own_cached(tags={"tidegate:cache-isolated": "serve"})
    left, *others = region.nodes
    for one in (api, bold):
        wait_until(lambda one=one: not bypasses(one, "/f", left), "stored answers are served")
    time.sleep(CURRENT_SECONDS + 1)
    assert not bypasses(api, "/f", left), "a healthy node goes on"
    started = time.monotonic()
    for node in others:
        suspend(node["pid"])
    try:
        assert not bypasses(api, "/f", left), "for a while it may"
        wait_until(lambda: bypasses(api, "/f", left), "stored answers are bypassed", seconds=CURRENT_SECONDS + 3, pause=0.1)
        took = time.monotonic() - started
        measured(f"stored answers are bypassed {took:.1f} s after the other nodes stopped")
        assert CURRENT_SECONDS - 1.5 < took < CURRENT_SECONDS + 1
        assert bypasses(api, "/f", left) and not bypasses(bold, "/f", left)
    finally:
        for node in others:
            os.kill(node["pid"], signal.SIGCONT)
    wait_until(lambda: not bypasses(api, "/f", left), "stored answers are served again", seconds=10)


def test_a_flush_waits_for_a_node_that_is_slow(own_region, own_cached, origin):
    region, api = own_region, own_cached()
    *left, slow = region.nodes
    control = region.client(endpoint_url=left[0]["control"])
    for _ in range(3):
        wait_until(lambda: not bypasses(api, "/f", slow), "stored answers are served")
        before = origin.count("/f")
        suspend(slow["pid"])
        resume = threading.Timer(0.7, os.kill, (slow["pid"], signal.SIGCONT))
        resume.start()
        started = time.monotonic()
        control.flush_stage_cache(**api.stage)
        took = time.monotonic() - started
        assert api.number("/f", node=slow) > before, f"the call returned after {took:.2f} s"
        resume.join()
        assert 0.6 < took < 3


@pytest.mark.parametrize("ends", [signal.SIGSTOP, signal.SIGKILL], ids=["stopped", "killed"])
def test_a_flush_does_not_need_a_dead_node_and_does_not_trust_it(own_region, own_cached, origin, measured, ends):
    region, api = own_region, own_cached()
    started = time.monotonic()
    api.flush()
    assert time.monotonic() - started < 1, "with all nodes alive it is quick"
    *left, dead = region.nodes
    for node in region.nodes:
        wait_until(lambda node=node: not bypasses(api, "/f", node), "stored answers are served")
    control = region.client(endpoint_url=left[0]["control"])
    if ends == signal.SIGKILL:
        region.tidegate("dev", "stop-az", dead["az"])
    else:
        suspend(dead["pid"])
    try:
        before = origin.count("/f")
        started = time.monotonic()
        assert control.flush_stage_cache(**api.stage)["ResponseMetadata"]["HTTPStatusCode"] == 202
        took = time.monotonic() - started
        measured(f"flush with one node {'stopped' if ends == signal.SIGSTOP else 'killed'}: {took:.1f} s")
        assert CURRENT_SECONDS - 0.1 < took < CURRENT_SECONDS + MARGIN_SECONDS + 3
        for node in left:
            assert api.number("/f", node=node) > before
    finally:
        if ends == signal.SIGSTOP:
            os.kill(dead["pid"], signal.SIGCONT)
    if ends == signal.SIGSTOP:
        assert api.number("/f", node=dead) > before, "a node that comes to does not serve what was flushed meanwhile"
    else:
        region.tidegate("dev", "start-az", dead["az"])
        assert api.number("/f", node=region.node(dead["az"])) > before
    settle(region)

    def is_quick():
        """Who comes back may have led, and learns of its successor a moment later: clients are told to try again until then."""
        started = time.monotonic()
        try:
            api.flush()
        except api.client.exceptions.ServiceUnavailableException:
            return False
        return time.monotonic() - started < 2

    wait_until(is_quick, "with all nodes back it is quick again", seconds=10)


def test_a_flush_without_a_majority_is_refused(own_region, own_cached):
    region, api = own_region, own_cached()
    alone, *others = region.nodes
    for node in others:
        suspend(node["pid"])
    try:
        status, problem = own(region, "POST", "/_tidegate/cache/purge", {"api": api.id, "stage": "dev"}, node=alone)
        assert status == 503, problem
    finally:
        for node in others:
            os.kill(node["pid"], signal.SIGCONT)
