"""HTTP/2 with prior knowledge on the plain port."""

import socket
from urllib.parse import urlsplit

import h2.config
import h2.connection
import h2.errors
import h2.events
import pytest

from support.apis import Api


@pytest.fixture(scope="module")
def target(client, upstream_server, everywhere):
    api = Api(client, "http2")
    api.proxy("/p", f"{upstream_server.url}/seen").mock("/mock", body={"over": "h2"})
    api.proxy("/large", f"{upstream_server.url}/large/300000")
    api.deploy()
    everywhere(api.id, "dev", "/mock")
    yield api
    api.delete()


class Http2:
    """One connection; `ask` starts streams, `answers` reads until all of them have ended."""

    def __init__(self, url):
        place = urlsplit(url)
        self.socket = socket.create_connection((place.hostname, place.port), timeout=10)
        config = h2.config.H2Configuration(client_side=True, validate_outbound_headers=False, normalize_outbound_headers=False)
        self.wire = h2.connection.H2Connection(config)
        self.wire.initiate_connection()
        self.flush()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def flush(self):
        self.socket.sendall(self.wire.data_to_send())

    def ask(self, host, path, method="GET", headers=(), body=b""):
        stream = self.wire.get_next_available_stream_id()
        pseudo = [(":method", method), (":scheme", "http"), (":authority", host), (":path", path)]
        self.wire.send_headers(stream, pseudo + list(headers), end_stream=not body)
        if body:
            self.wire.send_data(stream, body, end_stream=True)
        self.flush()
        return stream

    def answers(self, *streams):
        found = {stream: {"headers": [], "body": b"", "ended": None} for stream in streams}
        while any(answer["ended"] is None for answer in found.values()):
            data = self.socket.recv(65_536)
            if not data:
                break
            for event in self.wire.receive_data(data):
                self.take(event, found)
            self.flush()
        return [found[stream] for stream in streams]

    def take(self, event, found):
        answer = found.get(getattr(event, "stream_id", None))
        match event:
            case h2.events.ResponseReceived():
                answer["headers"] = [(_text(name), _text(value)) for name, value in event.headers]
            case h2.events.DataReceived():
                answer["body"] += event.data
                self.wire.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            case h2.events.StreamEnded():
                answer["ended"] = "ended"
            case h2.events.StreamReset():
                answer["ended"] = f"reset {event.error_code}"
            case h2.events.ConnectionTerminated():
                for other in found.values():
                    other["ended"] = other["ended"] or "connection"


def _text(value):
    return value.decode() if isinstance(value, bytes) else value


def status(answer):
    return int(dict(answer["headers"]).get(":status", 0))


def test_requests_share_a_connection(region, target):
    host = region.host(target.id)
    with Http2(region.nodes[0]["gateway"]) as connection:
        streams = [connection.ask(host, "/dev/mock") for _ in range(20)]
        answers = connection.answers(*streams)
    assert [status(answer) for answer in answers] == [200] * 20
    assert {answer["body"] for answer in answers} == {b'{"over": "h2"}'}
    ids = {dict(answer["headers"])["x-amzn-requestid"] for answer in answers}
    assert len(ids) == 20


def test_bodies_pass_both_ways(region, target, upstream):
    host = region.host(target.id)
    with Http2(region.nodes[0]["gateway"]) as connection:
        small = connection.ask(host, "/dev/p", "POST", [("content-type", "text/x"), ("x-mine", "a")], b"hello")
        assert status(connection.answers(small)[0]) == 200
        large = connection.ask(host, "/dev/large")
        assert len(connection.answers(large)[0]["body"]) == 300_000
    seen = next(seen for seen in upstream.seen if seen.method == "POST")
    assert seen.line.endswith("HTTP/1.1") and seen.body == b"hello" and seen.header("x-mine") == "a"
    assert seen.header("host") == upstream.address


def test_a_missing_route_answers_as_over_http1(region, target):
    with Http2(region.nodes[0]["gateway"]) as connection:
        answer = connection.answers(connection.ask(region.host(target.id), "/dev/none"))[0]
    assert status(answer) == 403 and answer["body"] == b'{"message":"Missing Authentication Token"}'
    assert dict(answer["headers"])["x-amzn-errortype"] == "MissingAuthenticationTokenException"


BAD = [
    ("connection header", [("connection", "close")]),
    ("transfer-encoding", [("transfer-encoding", "chunked")]),
    ("upper-case name", [("X-Upper", "a")]),
    ("line feed in value", [("x-a", "a\r\nx-b: c")]),
    ("second host", [("host", "other.example")]),
    ("wrong length", [("content-length", "9")]),
]


@pytest.mark.parametrize("headers", [case[1] for case in BAD], ids=[case[0] for case in BAD])
def test_malformed_requests_never_reach_the_upstream(region, target, upstream, headers):
    body = b"hello" if headers[0][0] == "content-length" else b""
    with Http2(region.nodes[0]["gateway"]) as connection:
        try:
            stream = connection.ask(region.host(target.id), "/dev/p", "POST" if body else "GET", headers, body)
            answer = connection.answers(stream)[0]
        except (BrokenPipeError, ConnectionResetError):
            # The connection was ended while the request was still being sent.
            answer = {"ended": "connection"}
    assert answer["ended"] == "connection" or status(answer) == 400 or str(answer["ended"]).startswith(("reset", "connection")), answer
    assert all(b"x-b" not in seen.head and seen.body != b"hello" for seen in upstream.seen)
    if not body:
        assert upstream.seen == []
