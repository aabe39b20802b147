"""Fixtures: one region for tests that only use it, fresh regions for tests that break it."""

import os
import shutil
import tempfile
from pathlib import Path

import pytest

from support import apis, raw
from support.caching import Cached
from support.careful import SEEN
from support.origin import Origin
from support.region import Region, clean_environment, wait_until
from support.upstream import Upstream

MEASURED = []


def pytest_configure():
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        del os.environ[name]
    os.environ.update({name: value for name, value in clean_environment().items() if name.startswith("AWS_")})


def pytest_terminal_summary(terminalreporter):
    if SEEN:
        MEASURED.append(f"writes of unknown outcome that were settled: {', '.join(SEEN)}")
    if MEASURED:
        terminalreporter.section("measured")
        for line in MEASURED:
            terminalreporter.write_line(line)


@pytest.fixture(scope="session")
def measured():
    """Call it with a line that the run's summary shall show."""
    return MEASURED.append


@pytest.fixture(scope="session")
def scratch(request):
    """A directory that goes when the run was good, and stays for reading when it was not."""
    folder = Path(tempfile.mkdtemp(prefix="tidegate-tests-"))
    yield folder
    if request.session.testsfailed:
        MEASURED.append(f"data and logs of the regions: {folder}")
    else:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def region(scratch):
    """The shared region: tests may create what they like and must not stop nodes or remove what is not theirs."""
    region = Region(scratch / "shared")
    try:
        yield region.start()
    finally:
        region.stop()


@pytest.fixture
def own_region(scratch, request):
    """A region that the test may break."""
    region = Region(scratch / request.node.name.replace("[", "-").replace("]", ""))
    try:
        yield region.start()
    finally:
        region.stop()


@pytest.fixture(scope="session")
def client(region):
    return region.client()


@pytest.fixture(scope="session")
def upstream_server():
    upstream = Upstream()
    yield upstream
    upstream.close()


@pytest.fixture
def upstream(upstream_server):
    """The recording upstream, with an empty memory."""
    upstream_server.forget()
    return upstream_server


@pytest.fixture(scope="session")
def origin_server():
    origin = Origin()
    yield origin
    origin.close()


@pytest.fixture
def origin(origin_server):
    """The counting upstream, with an empty memory."""
    origin_server.forget()
    return origin_server


@pytest.fixture
def cached(region, client, origin):
    """Makes cached stages that go when the test is over; answers of API Gateway's rules live for five minutes."""
    made = []

    def make(tags=None, **given):
        life = {} if tags and "tidegate:cache" in tags else {"ttlInSeconds": "300"}
        made.append(Cached(region, client, origin, tags, **(life | given)))
        return made[-1]

    yield make
    for one in made:
        one.delete()


@pytest.fixture(scope="module")
def api(client):
    """An empty API for the tests of one file."""
    made = apis.Api(client)
    yield made
    made.delete()


@pytest.fixture
def make_api(client):
    """Makes APIs that go when the test is over."""
    made = []

    def make(name=None, **settings):
        made.append(apis.Api(client, name, **settings))
        return made[-1]

    yield make
    for one in made:
        try:
            one.delete()
        except client.exceptions.NotFoundException:
            pass


@pytest.fixture(scope="session")
def everywhere(region):
    """Waits until every node answers a call with the expected status and body, and returns the answers."""

    def wait(api, stage, path="/", expect=None, status=200, nodes=None, seconds=5, **more):
        def right(answer):
            return answer.status == status and (expect is None or answer.json == expect)

        def ask():
            answers = [region.call(api, stage, path, node=node, **more) for node in nodes or region.nodes]
            wait.last = answers
            return answers if all(map(right, answers)) else None

        return wait_until(ask, lambda: f"{status} {expect} for {path} on every node, last: {wait.last}", seconds=seconds, pause=0.002)

    return wait


@pytest.fixture(scope="session")
def control(region):
    """Sends an unsigned request to the control plane."""
    return lambda method, target, headers=(), body=None: raw.request(region.dev["control"], method, target, headers, body)
