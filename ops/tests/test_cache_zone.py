"""Two real nodes of one availability zone share what they cache: a stampede over both is one upstream call, and neither needs the other."""

import os
import signal
import threading
import time

import pytest

from support import raw
from support.apis import Api, patch
from support.region import Region, wait_until
from support.stampede import asks, open_files, stampede

STAMPEDE = 1_000
TTL_SECONDS = 3
# A node that is gone may cost a request this much: a question without a reply, and a wait that the owner held.
PATIENCE_SECONDS = 2


@pytest.fixture(scope="module")
def zone(tmp_path_factory):
    """One zone of two nodes."""
    open_files(8_192)
    region = Region(tmp_path_factory.mktemp("zone") / "one", azs=1)
    try:
        yield region.start("--nodes-per-az", "2")
    finally:
        region.stop()


@pytest.fixture
def cached(zone, upstream):
    """An API whose answers are cached on both nodes, once both say hello to each other."""
    parameter = {"integration.request.path.proxy": "method.request.path.proxy"}
    api = Api(zone.client()).proxy(
        "/{proxy+}", f"{upstream.url}/{{proxy}}", method={"requestParameters": {"method.request.path.proxy": True}}, requestParameters=parameter
    )
    api.deploy(cacheClusterEnabled=True, cacheClusterSize="0.5")
    settings = patch(("replace", "/*/*/caching/enabled", "true"), ("replace", "/*/*/caching/ttlInSeconds", str(TTL_SECONDS)))
    api.client.update_stage(restApiId=api.id, stageName="dev", patchOperations=settings)
    count = iter(range(1_000))

    def share():
        path = f"/hello/{next(count)}"
        answers = [zone.call(api.id, "dev", path, node=node) for node in zone.nodes]
        return [answer.status for answer in answers] == [200, 200] and sum(asks(node, "found") for node in zone.nodes) > before

    before = sum(asks(node, "found") for node in zone.nodes)
    wait_until(share, lambda: f"the nodes do not share: {zone.story()}", seconds=20)
    upstream.forget()
    yield api
    api.delete()


def one_call(zone, api, upstream, path):
    """A stampede; whether it was one upstream call. Nothing is said of one in which a question to the owner had no reply in its 50 ms, as
    happens on a machine whose processors are taken away."""
    failed = sum(asks(node, "failed") for node in zone.nodes)
    upstream.forget()
    started = time.monotonic()
    answers = stampede(zone, api.id, path, STAMPEDE)
    took = time.monotonic() - started
    assert set(answers) == {200}, {answer: answers.count(answer) for answer in set(answers)}
    is_undisturbed = sum(asks(node, "failed") for node in zone.nodes) == failed
    assert len(upstream.seen) == 1 or not is_undisturbed, [seen.line for seen in upstream.seen]
    assert len(upstream.seen) <= 2, [seen.line for seen in upstream.seen]
    return took if is_undisturbed else None


def test_a_stampede_is_one_upstream_call(zone, cached, upstream, measured):
    owners, times = set(), []
    for number in range(20):
        path = f"/slow/{300 + number}"
        before = [asks(node, "fill") + asks(node, "found") for node in zone.nodes]
        took = one_call(zone, cached, upstream, path)
        after = [asks(node, "fill") + asks(node, "found") for node in zone.nodes]
        owners |= {index for index in (0, 1) if after[index] == before[index]} if took else set()
        # What is stored is one answer of the zone: both have it now, and both lose it at the same time.
        expires = time.monotonic() + TTL_SECONDS
        if took and owners == {0, 1}:
            wait_until(lambda: time.monotonic() > expires, "time passes", seconds=TTL_SECONDS + 1)
            times.append(one_call(zone, cached, upstream, path))
            if times[-1]:
                break
    assert owners == {0, 1}, "one node owned every key"
    assert times and times[-1], "every stampede was disturbed"
    measured(f"{STAMPEDE} requests over 2 nodes of an AZ for one expired key: 1 upstream call, {times[-1] * 1000:.0f} ms")


def test_an_owner_that_is_killed_fails_no_request(zone, cached, upstream, measured):
    """SIGKILL of one node while the other one is asked for keys that either owns: nobody but clients of the killed one notices."""
    left, killed = zone.nodes
    answers, times, stop = [], [], threading.Event()
    host = {"Host": zone.host(cached.id)}

    def load(worker):
        number = 0
        while not stop.is_set():
            number += 1
            # Every other key is asked for by two workers at about the same time, so that some wait for calls of others.
            whose = worker // 2 if number % 2 else f"{worker}-alone"
            try:
                answer = raw.request(left["gateway"], "GET", f"/dev/key/{whose}/{number}", host)
                answers.append(answer.status)
                times.append((answer.seconds, time.monotonic(), f"{whose}/{number}"))
            except Exception as error:
                answers.append(repr(error))

    workers = [threading.Thread(target=load, args=(worker,)) for worker in range(12)]
    for worker in workers:
        worker.start()
    try:
        asked = asks(left, "fill")
        wait_until(lambda: asks(left, "fill") > asked + 50, "the other node is asked", seconds=20)
        before = len(answers)
        os.kill(killed["pid"], signal.SIGKILL)
        lost = time.monotonic()
        wait_until(lambda: asks(left, "failed") > 0, "the loss is noticed", seconds=10)
        noticed = time.monotonic()
        wait_until(lambda: len(answers) > before + 500 and time.monotonic() > noticed + 2, "requests go on", seconds=30)
    finally:
        stop.set()
        for worker in workers:
            worker.join()
    wrong = [answer for answer in answers if answer != 200]
    assert not wrong, (len(wrong), wrong[:5])
    slow = [(f"{seconds:.3f} s", f"{at - lost:+.3f} s", what) for seconds, at, what in times if seconds > PATIENCE_SECONDS]
    assert not slow, slow
    measured(f"{len(answers)} requests while the other node of the AZ is killed: 0 failed, slowest {max(times)[0] * 1000:.0f} ms")
    az = killed["az"]
    wait_until(lambda: any(node["pid"] == 0 for node in zone.nodes), "the supervisor sees it")
    assert "runs and is ready" in zone.tidegate("dev", "start-az", az).stdout
