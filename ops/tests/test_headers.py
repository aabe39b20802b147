"""Which headers cross the gateway in each direction, byte by byte at the upstream."""

import pytest

from support.apis import Api
from support.raw import exchange, statuses

# Dropped on the way to an HTTP_PROXY backend whatever the client says (RFC 9110 7.6.1 and AWS's table).
HOP_BY_HOP = ["Connection", "Keep-Alive", "Proxy-Connection", "Proxy-Authenticate", "Proxy-Authorization", "TE", "Trailer", "Upgrade"]


@pytest.fixture(scope="module")
def target(region, client, upstream_server, everywhere):
    api = Api(client, "headers")
    api.proxy("/p", f"{upstream_server.url}/seen").proxy("/h", f"{upstream_server.url}/with-headers", "GET")
    api.http("/http", f"{upstream_server.url}/seen")
    api.deploy()
    everywhere(api.id, "dev", "/p")
    yield api
    api.delete()


def send(region, api, lines, path="/p", line="GET"):
    head = "\r\n".join([f"{line} /dev{path} HTTP/1.1", f"Host: {region.host(api.id)}", *lines])
    return exchange(region.nodes[0]["gateway"], head.encode("latin-1") + b"\r\n\r\n")


@pytest.mark.parametrize("name", [name for name in HOP_BY_HOP if name != "Connection"])
def test_hop_by_hop_headers_stay(region, target, upstream, name):
    answer = send(region, target, [f"{name}: trailers", "Connection: close", "X-Mine: a"])
    assert statuses(answer) == [200], answer
    seen = upstream.only()
    assert name.lower() not in seen.names and seen.header("x-mine") == "a"


def test_headers_that_connection_names_stay(region, target, upstream):
    lines = ["Connection: close, X-Secret, x-token", "X-Secret: 1", "X-Token: 2", "X-Mine: 3"]
    assert statuses(send(region, target, lines)) == [200]
    seen = upstream.only()
    assert "x-secret" not in seen.names and "x-token" not in seen.names and seen.header("x-mine") == "3"
    assert all(value.lower() in ("keep-alive", "close") for value in seen.all("connection"))


def test_two_connection_lines_both_count(region, target, upstream):
    lines = ["Connection: X-Secret", "Connection: close", "X-Secret: 1"]
    assert statuses(send(region, target, lines)) == [200]
    assert "x-secret" not in upstream.only().names


def test_an_upgrade_is_not_passed_on(region, target, upstream):
    lines = ["Connection: Upgrade, HTTP2-Settings, close", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAAP__"]
    answer = send(region, target, lines, line="GET")
    assert statuses(answer)[0] in (200, 400), answer
    for seen in upstream.seen:
        assert not {"upgrade", "http2-settings"} & set(seen.names)


def test_what_a_proxy_backend_sees(region, target, upstream):
    headers = {
        "X-Mine": "a", "Accept": "text/x", "Accept-Language": "de", "Authorization": "Bearer t", "User-Agent": "mine/1",
        "Content-Type": "text/x", "Referer": "r", "Range": "bytes=0-1",
    }
    region.call(target.id, "dev", "/p?a=1&a=2&b=%20", "POST", headers, "body")
    seen = upstream.only()
    assert (seen.method, seen.target, seen.body) == ("POST", "/seen?a=1&a=2&b=%20", b"body")
    for name, value in headers.items():
        assert seen.header(name) == value, name
    assert seen.header("host") == upstream.address
    assert seen.header("content-length") == "4" and seen.all("transfer-encoding") == []
    assert seen.header("x-amzn-apigateway-api-id") == target.id
    assert seen.header("x-forwarded-for").split(",")[0].strip() == "127.0.0.1"


def test_repeated_headers_stay_in_order(region, target, upstream):
    assert statuses(send(region, target, ["X-Many: 1", "X-Other: x", "X-Many: 2", "Connection: close"])) == [200]
    assert [part.strip() for value in upstream.only().all("x-many") for part in value.split(",")] == ["1", "2"]


def test_a_client_cannot_set_our_own_headers(region, target, upstream):
    region.call(target.id, "dev", "/p", headers={"X-Amzn-Apigateway-Api-Id": "forged"})
    assert upstream.only().all("x-amzn-apigateway-api-id") == [target.id]


def test_what_a_mapped_backend_sees_without_mappings(region, target, upstream):
    region.call(target.id, "dev", "/http?a=1", headers={"X-Mine": "a", "Accept": "text/x"})
    seen = upstream.only()
    assert "x-mine" not in seen.names and seen.target == "/seen", "only what is mapped reaches an HTTP integration"
    assert seen.header("user-agent") == f"AmazonAPIGateway_{target.id}"
    assert seen.header("accept") == "application/json"


def test_what_the_client_sees_of_a_proxy_answer(region, target, upstream):
    upstream.response_lines = [
        ("X-Mine", "a"), ("Set-Cookie", "a=1"), ("Set-Cookie", "b=2"), ("Content-Type", "application/x"), ("Server", "nginx"),
        ("Date", "Thu, 01 Jan 1970 00:00:00 GMT"), ("Connection", "X-Secret"), ("X-Secret", "1"), ("Keep-Alive", "timeout=9"),
        ("x-amzn-RequestId", "theirs"), ("ETag", '"e"'), ("Cache-Control", "no-store"),
    ]
    answer = region.call(target.id, "dev", "/h")
    assert answer.header("x-mine") == "a" and answer.all("set-cookie") == ["a=1", "b=2"]
    assert (answer.header("content-type"), answer.header("etag"), answer.header("cache-control")) == ("application/x", '"e"', "no-store")
    assert "x-secret" not in answer.names and "keep-alive" not in answer.names
    assert answer.header("x-amzn-Remapped-Server") == "nginx" and answer.all("server") != ["nginx"]
    assert answer.header("x-amzn-Remapped-Date") == "Thu, 01 Jan 1970 00:00:00 GMT"
    assert answer.header("x-amzn-Remapped-x-amzn-RequestId") == "theirs"
    assert answer.all("x-amzn-requestid") != ["theirs"] and len(answer.all("x-amzn-requestid")) == 1
    assert answer.all("x-amzn-errortype") == []


def test_a_repeated_hop_by_hop_answer_header_is_dropped(region, target, upstream):
    upstream.response_lines = [("Proxy-Authenticate", "Basic"), ("Trailer", "X-T"), ("Upgrade", "h2c"), ("TE", "x")]
    names = region.call(target.id, "dev", "/h").names
    assert not {"proxy-authenticate", "trailer", "upgrade", "te"} & set(names), names
