"""Requests whose framing is in doubt: 400 from the gateway, and nothing reaches the upstream."""

import pytest

from support.apis import Api
from support.raw import exchange, statuses

SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.fixture(scope="module")
def target(region, client, upstream_server, everywhere):
    api = Api(client, "framing")
    api.proxy("/p", f"{upstream_server.url}/seen")
    api.deploy()
    everywhere(api.id, "dev", "/p")
    yield api
    api.delete()


def attack(region, api, head, body=b"", line="POST /dev/p HTTP/1.1", host=True):
    lines = [line] + ([f"Host: {region.host(api.id)}"] if host else []) + head
    data = "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body
    return exchange(region.nodes[0]["gateway"], data)


CHUNKED = b"5\r\nhello\r\n0\r\n\r\n"
ATTACKS = [
    ("CL and TE", ["Content-Length: 5", "Transfer-Encoding: chunked"], CHUNKED + SMUGGLED),
    ("TE and CL", ["Transfer-Encoding: chunked", "Content-Length: 15"], CHUNKED + SMUGGLED),
    ("CL.TE with zero chunk", ["Content-Length: 6", "Transfer-Encoding: chunked"], b"0\r\n\r\n" + SMUGGLED),
    ("two equal CL lines", ["Content-Length: 5", "Content-Length: 5"], b"hello"),
    ("two different CL lines", ["Content-Length: 5", "Content-Length: 6"], b"hello" + SMUGGLED),
    ("CL list", ["Content-Length: 5, 5"], b"hello"),
    ("CL with sign", ["Content-Length: +5"], b"hello"),
    ("negative CL", ["Content-Length: -5"], b"hello"),
    ("hexadecimal CL", ["Content-Length: 0x5"], b"hello"),
    ("empty CL", ["Content-Length: "], b"hello"),
    ("CL with text", ["Content-Length: 5a"], b"hello"),
    ("huge CL", ["Content-Length: 99999999999999999999999"], b"hello"),
    ("two TE lines", ["Transfer-Encoding: chunked", "Transfer-Encoding: chunked"], CHUNKED),
    ("TE list", ["Transfer-Encoding: gzip, chunked"], CHUNKED),
    ("TE identity", ["Transfer-Encoding: identity"], b""),
    ("TE chunked twice", ["Transfer-Encoding: chunked, chunked"], CHUNKED),
    ("TE look-alike", ["Transfer-Encoding: xchunked"], CHUNKED),
    ("TE with tab", ["Transfer-Encoding:\tchunked", "Content-Length: 3"], CHUNKED),
    ("space before colon", ["Transfer-Encoding : chunked", "Content-Length: 5"], b"hello" + SMUGGLED),
    ("folded header", ["X-A: b", " Transfer-Encoding: chunked", "Content-Length: 5"], b"hello" + SMUGGLED),
    ("underscore CL", ["Content_Length: 5", "Transfer-Encoding: chunked", "Content-Length: 0"], CHUNKED),
    ("two hosts", ["Host: other"], b""),
    ("control byte in value", ["X-A: a\x00b"], b""),
    ("bare CR in value", ["X-A: a\rTransfer-Encoding: chunked"], b""),
    ("bare LF line", ["X-A: a\nX-B: b\nContent-Length: 0\n"], b""),
    ("header without a colon", ["X-A"], b""),
    ("empty header name", [": a"], b""),
]


@pytest.mark.parametrize("head, body", [case[1:] for case in ATTACKS], ids=[case[0] for case in ATTACKS])
def test_doubtful_framing_is_refused(region, target, upstream, head, body):
    answer = attack(region, target, head, body)
    assert statuses(answer) == [400], answer
    assert b"connection: close" in answer.lower(), "the connection must not be used again"
    assert [seen.line for seen in upstream.seen] == []


BAD_CHUNKS = {
    "not hexadecimal": b"zz\r\nhello\r\n0\r\n\r\n",
    "sign": b"+5\r\nhello\r\n0\r\n\r\n",
    "prefix": b"0x5\r\nhello\r\n0\r\n\r\n",
    "too large": b"ffffffffffffffffff\r\nhello\r\n0\r\n\r\n",
    "no end of chunk": b"5\r\nhelloworld\r\n0\r\n\r\n",
    "bare LF": b"5\nhello\n0\n\n",
}


@pytest.mark.parametrize("body", BAD_CHUNKS.values(), ids=BAD_CHUNKS)
def test_doubtful_chunks_are_refused(region, target, upstream, body):
    """The head may be on its way already, a complete request with such a body may not."""
    answer = attack(region, target, ["Transfer-Encoding: chunked"], body + SMUGGLED)
    assert statuses(answer) == [400], answer
    assert not any("smuggled" in seen.line or seen.body == b"hello" for seen in upstream.seen), upstream.seen


LINES = [
    ("no host", "GET /dev/p HTTP/1.1", False),
    ("no version", "GET /dev/p", True),
    ("two spaces", "GET  /dev/p HTTP/1.1", True),
    ("space in target", "GET /dev/p x HTTP/1.1", True),
    ("bad method", "GE\x7fT /dev/p HTTP/1.1", True),
    ("no slash", "GET dev/p HTTP/1.1", True),
    ("CONNECT", "CONNECT a:1 HTTP/1.1", True),
]


@pytest.mark.parametrize("line, host", [case[1:] for case in LINES], ids=[case[0] for case in LINES])
def test_bad_request_lines_are_refused(region, target, upstream, line, host):
    assert statuses(attack(region, target, ["Connection: close"], line=line, host=host)) == [400]
    assert upstream.seen == []


@pytest.mark.parametrize("host", ["", "a b", "a/b", "a@b", "a:b", "a:99999", "[::1", "a\\b", "a,b", "a?b#c"])
def test_bad_hosts_are_refused(region, target, upstream, host):
    assert statuses(attack(region, target, [f"Host: {host}", "Connection: close"], line="GET /dev/p HTTP/1.1", host=False)) == [400]
    assert upstream.seen == []


def test_an_unknown_version_is_refused(region, target, upstream):
    assert statuses(attack(region, target, [], line="GET /dev/p HTTP/3.7")) in ([505], [400])
    assert upstream.seen == []


def test_too_many_header_bytes(region, target, upstream):
    assert statuses(attack(region, target, [f"X-A: {'a' * 11_000}"], line="GET /dev/p HTTP/1.1")) == [431]
    assert upstream.seen == []


def test_pipelined_requests_are_answered_in_order(region, target, upstream):
    host = region.host(target.id)
    one = f"GET /dev/p?n=1 HTTP/1.1\r\nHost: {host}\r\n\r\n"
    two = f"GET /dev/p?n=2 HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
    answer = exchange(region.nodes[0]["gateway"], (one + two).encode())
    assert statuses(answer) == [200, 200]
    assert answer.index(b"/seen?n=1") < answer.index(b"/seen?n=2")


def test_clean_requests_still_pass(region, target, upstream):
    answer = attack(region, target, ["Transfer-Encoding: chunked", "Connection: close"], CHUNKED)
    assert statuses(answer) == [200], answer
    assert upstream.only().body == b"hello"


def test_expect_continue_is_answered_once(region, target, upstream):
    head = ["Content-Length: 5", "Expect: 100-continue", "Connection: close"]
    answer = attack(region, target, head, b"hello")
    assert statuses(answer) in ([100, 200], [200]), answer
    assert upstream.only().all("expect") == []
