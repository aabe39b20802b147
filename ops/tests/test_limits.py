"""Bounds of the data plane: sizes, times, and what callers see when an upstream fails."""

import socket
import threading
import time
from urllib.parse import urlsplit

import pytest

from support.apis import Api
from support.raw import exchange, statuses
from support.region import free_block
from support.upstream import Upstream

TEN_MB = 10 * 1024 * 1024


@pytest.fixture(scope="module")
def target(client, upstream_server, everywhere):
    api = Api(client, "limits")
    whole = {"requestParameters": {"method.request.path.rest": True}}
    mapped = {"integration.request.path.rest": "method.request.path.rest"}
    api.proxy("/p/{rest+}", f"{upstream_server.url}/{{rest}}", method=whole, requestParameters=mapped)
    api.proxy("/fast/{rest+}", f"{upstream_server.url}/{{rest}}", method=whole, requestParameters=mapped, timeoutInMillis=150)
    api.proxy("/closed", f"http://127.0.0.1:{free_block(1)}/x")
    api.mock("/mock", "POST")
    api.deploy()
    everywhere(api.id, "dev", "/p/x")
    yield api
    api.delete()


def refused(answer):
    assert (answer.status, answer.header("x-amzn-ErrorType")) == (413, "RequestTooLargeException"), answer
    assert answer.json == {"message": "Request Too Long"}


def test_a_declared_body_over_ten_megabytes_is_refused_at_once(region, target, upstream):
    head = f"POST /dev/p/x HTTP/1.1\r\nHost: {region.host(target.id)}\r\nContent-Length: {TEN_MB + 1}\r\n\r\n"
    started = time.monotonic()
    answer = exchange(region.nodes[0]["gateway"], head.encode(), half_close=False, timeout=5)
    assert statuses(answer) == [413] and time.monotonic() - started < 5, answer
    assert b'{"message":"Request Too Long"}' in answer
    assert upstream.seen == []


def test_a_chunked_body_over_ten_megabytes_is_refused(region, target, upstream):
    """The head may have been passed on; the whole body never is."""
    host = region.host(target.id)
    head = f"POST /dev/p/x HTTP/1.1\r\nHost: {host}\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
    chunk = b"100000\r\n" + b"x" * 0x100000 + b"\r\n"
    place = urlsplit(region.nodes[0]["gateway"])
    received = b""
    with socket.create_connection((place.hostname, place.port), timeout=20) as stream:
        try:
            stream.sendall(head)
            for _ in range(11):
                stream.sendall(chunk)
            stream.sendall(b"0\r\n\r\n")
        except (BrokenPipeError, ConnectionResetError):
            pass
        try:
            while piece := stream.recv(65_536):
                received += piece
        except (ConnectionResetError, TimeoutError):
            pass
    assert statuses(received) == [413], received
    assert all(len(seen.body) < 11 * 0x100000 for seen in upstream.seen)


def test_a_body_of_exactly_ten_megabytes_passes(region, target, upstream):
    answer = region.call(target.id, "dev", "/p/status/200", "POST", body=b"x" * TEN_MB)
    assert answer.status == 200 and len(upstream.only().body) == TEN_MB


def test_a_mock_has_the_same_bound(region, target):
    refused(region.call(target.id, "dev", "/mock", "POST", {"Content-Length": str(TEN_MB + 1)}, b""))


@pytest.mark.parametrize("size", [0, 1, 65_536, 5_000_000])
def test_answers_arrive_whole(region, target, size):
    answer = region.call(target.id, "dev", f"/p/large/{size}")
    assert answer.status == 200 and len(answer.body) == size and set(answer.body) <= {ord("x")}


def test_a_slow_upstream_times_out_as_configured(region, target):
    answer = region.call(target.id, "dev", "/fast/slow/2000")
    assert (answer.status, answer.json) == (504, {"message": "Endpoint request timed out"})
    assert answer.header("x-amzn-ErrorType") == "InternalServerErrorException"
    assert 0.15 <= answer.seconds < 1, f"{answer.seconds} s for a timeout of 150 ms"


def test_a_fast_upstream_does_not(region, target):
    assert region.call(target.id, "dev", "/fast/slow/20").status == 200


def test_a_closed_port_is_a_network_error(region, target):
    answer = region.call(target.id, "dev", "/closed")
    assert (answer.status, answer.json) == (504, {"message": "Network error communicating with endpoint"})
    assert answer.header("x-amzn-ErrorType") == "InternalServerErrorException"
    assert answer.seconds < 2


@pytest.mark.parametrize("path", ["/p/broken", "/p/vanish"])
def test_an_upstream_that_breaks_off_is_an_error(region, target, path):
    answer = region.call(target.id, "dev", path)
    assert answer.status in (502, 504), answer
    assert answer.header("x-amzn-ErrorType") == "InternalServerErrorException"


def test_a_request_that_is_not_idempotent_is_sent_once(region, target, upstream):
    region.call(target.id, "dev", "/p/vanish", "POST", body="x")
    assert len(upstream.seen) == 1


def test_an_answer_is_streamed(region, target):
    """Pieces arrive while the upstream is still sending."""
    place = urlsplit(region.nodes[0]["gateway"])
    host = region.host(target.id)
    with socket.create_connection((place.hostname, place.port), timeout=10) as stream:
        started = time.monotonic()
        stream.sendall(f"GET /dev/p/drip/6/150 HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
        received, first = b"", None
        while piece := stream.recv(65_536):
            received += piece
            if b"piece" in received and first is None:
                first = time.monotonic() - started
    whole = time.monotonic() - started
    assert received.count(b"piece") == 6
    assert first < 0.5 and whole > 0.75, f"first piece after {first:.2f} s of {whole:.2f} s"


def test_connections_are_reused_and_answers_do_not_mix(region, target):
    failures = []

    def work(worker):
        for turn in range(25):
            mark = f"{worker}-{turn}"
            answer = region.call(target.id, "dev", f"/p/echo?{mark}", headers={"X-Mark": mark})
            if answer.status != 200 or answer.json["headers"]["x-mark"] != [mark]:
                failures.append((mark, answer))

    threads = [threading.Thread(target=work, args=(worker,)) for worker in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def test_keep_alive_serves_many_requests_on_one_connection(region, target, upstream):
    host = region.host(target.id)
    one = f"GET /dev/p/x HTTP/1.1\r\nHost: {host}\r\n\r\n"
    last = one.replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n")
    assert statuses(exchange(region.nodes[0]["gateway"], (one * 9 + last).encode())) == [200] * 10


def test_an_upstream_that_went_away_is_noticed_on_a_kept_connection(region, make_api, everywhere):
    upstream = Upstream()
    api = make_api().proxy("/p", f"{upstream.url}/x")
    api.deploy()
    everywhere(api.id, "dev", "/p")
    upstream.close()
    upstream.hang_up()
    answers = [region.call(api.id, "dev", "/p", node=node) for node in region.nodes]
    assert [(answer.status, answer.json) for answer in answers] == [(504, {"message": "Network error communicating with endpoint"})] * 3
