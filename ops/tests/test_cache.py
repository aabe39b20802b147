"""Answers from the cache as API Gateway gives them: which, for how long, by what they are told apart, and who may have them replaced."""

import time

import pytest

from support import raw
from support.caching import EVERY, settle
from support.signing import signed
from support.region import wait_until

LONG = "300"


def test_get_alone_is_cached_by_default(cached, origin):
    api = cached()
    for method, expect in (("GET", 1), ("HEAD", 3), ("POST", 3), ("PUT", 3), ("PATCH", 3), ("DELETE", 3), ("OPTIONS", 3)):
        path = f"/verb-{method}"
        for _ in range(3):
            assert api.ask(path, method).status == 200
        assert origin.count(path) == expect, method


def test_a_stored_answer_is_the_whole_answer(cached, origin):
    origin.plan("/whole", lines=[("ETag", '"e1"'), ("X-Mine", "a"), ("Cache-Control", "no-store"), ("Connection", "X-Hop"), ("X-Hop", "1")])
    api = cached()
    first, second = api.ask("/whole"), api.ask("/whole")
    assert (first.status, second.status, second.body) == (200, 200, first.body)
    changing = {"x-amzn-requestid", "x-amz-apigw-id", "date", "x-amzn-remapped-date", "age", "connection"}
    lines = [{(name.lower(), value) for name, value in answer.lines if name.lower() not in changing} for answer in (first, second)]
    assert lines[0] == lines[1]
    assert first.header("age") is None and "x-hop" not in second.names
    ids = {answer.header("x-amzn-RequestId") for answer in (first, second)}
    assert len(ids) == 2, "each request has an id of its own"
    assert second.header("age") == "0"
    wait_until(lambda: int(api.ask("/whole").header("age")) >= 1, "the answer grows older", seconds=5)
    assert origin.count("/whole") == 1


def test_answers_live_for_the_time_that_the_stage_sets(cached, origin):
    api = cached(ttlInSeconds="1")
    started = time.monotonic()
    assert api.number("/life") == 1
    taken = wait_until(lambda: (answer := api.ask("/life")).json["n"] == 2 and answer, "a new answer", seconds=5)
    assert time.monotonic() - started >= 1 and taken.header("age") is None
    # Answers that come after a change live as the change says; one without life is none.
    api.set((EVERY + "ttlInSeconds", "0"))
    assert [api.number("/none") for _ in range(3)] == [1, 2, 3]
    api.set((EVERY + "ttlInSeconds", LONG))
    assert [api.number("/new") for _ in range(3)] == [1, 1, 1]
    time.sleep(1.2)
    assert api.number("/new") == 1


def test_only_answers_of_success_are_stored(cached, origin):
    api = cached()
    for status, is_stored in ((200, True), (201, True), (204, True), (301, False), (404, False), (500, False), (503, False)):
        path = f"/status-{status}"
        origin.plan(path, status=status)
        assert {api.ask(path).status for _ in range(3)} == {status}
        assert origin.count(path) == (1 if is_stored else 3), status


def test_keys_are_what_is_declared(cached, origin):
    api = cached(keys=["querystring.q", "header.X-Lang"])
    first = api.number("/k?q=1", {"X-Lang": "de"})
    for same, headers in (
        ("/k?q=1", {"x-lang": "de"}),
        ("/k?q=1&z=2", {"X-Lang": "de"}),
        ("/k?z=%26q%3D7&q=1", {"X-Lang": "de", "Accept": "text/plain", "User-Agent": "other"}),
    ):
        assert api.number(same, headers) == first and origin.count("/k") == 1, same
    others = [
        ("/k?q=2", {"X-Lang": "de"}), ("/k?q=1", {"X-Lang": "en"}), ("/k", {"X-Lang": "de"}), ("/k?q=1", {}), ("/k?q=", {"X-Lang": "de"}),
        ("/k?q=1&q=1", {"X-Lang": "de"}), ("/k?q=1", {"X-Lang": "DE"}), ("/k?q=11", {"X-Lang": "de"}), ("/K?q=1", {"X-Lang": "de"}),
        ("/k/?q=1", {"X-Lang": "de"}), ("/k?q=1", [("X-Lang", "de"), ("X-Lang", "en")]), ("/k?q=1", {"X-Lang": "de, en"}),
    ]
    bodies = [api.ask("/k?q=1", headers={"X-Lang": "de"}).body]
    for path, headers in others:
        bodies.append(api.ask(path, headers=headers).body)
        assert api.ask(path, headers=headers).body == bodies[-1], (path, headers)
    assert len(set(bodies)) == 1 + len(others)
    assert api.ask("/k?Q=1", headers={"X-Lang": "de"}).body == api.ask("/k", headers={"X-Lang": "de"}).body, "names of parameters have case"


def test_without_keys_the_path_alone_tells_answers_apart(cached):
    api = cached()
    numbers = {path: api.ask(path).json for path in ("/a", "/b", "/a/b", "/a/b/c")}
    assert {path: document["target"] for path, document in numbers.items()} == {path: path for path in numbers}
    assert api.ask("/a?x=1").json == numbers["/a"] and api.ask("/a?x=2", headers={"Accept": "x/y"}).json == numbers["/a"]


def test_a_method_has_settings_of_its_own(client, cached, origin):
    api = cached()
    api.api.proxy("/mine", f"{origin.url}/mine", "GET").proxy("/post", f"{origin.url}/post", "POST")
    api.api.deploy()
    api.set(("/~1mine/GET/caching/enabled", "false"), ("/~1post/POST/caching/enabled", "true"), ("/~1post/POST/caching/ttlInSeconds", LONG))
    assert [api.number("/mine") for _ in range(3)] == [1, 2, 3]
    assert [api.number("/post", method="POST") for _ in range(3)] == [1, 1, 1]
    assert [api.number("/other") for _ in range(3)] == [1, 1, 1]
    # A body may choose the answer, and is in no key.
    bodies = [api.ask("/post", "POST", body=body).json["body"] for body in ("a", "b", "")]
    assert bodies == ["a", "b", ""]
    api.set(("/cacheClusterEnabled", "false"))
    assert [api.number("/other") for _ in range(3)] == [2, 3, 4]


WARNING = "199 Cache-control headers were ignored because the caller was unauthorized."
REFRESH = [
    ({}, (200, WARNING, 1)),
    ({"unauthorizedCacheControlHeaderStrategy": "SUCCEED_WITH_RESPONSE_HEADER"}, (200, WARNING, 1)),
    ({"unauthorizedCacheControlHeaderStrategy": "SUCCEED_WITHOUT_RESPONSE_HEADER"}, (200, None, 1)),
    ({"unauthorizedCacheControlHeaderStrategy": "FAIL_WITH_403"}, (403, None, None)),
    ({"requireAuthorizationForCacheControl": "false"}, (200, None, 2)),
]


@pytest.mark.parametrize("settings, expect", REFRESH, ids=["default", "warning", "silent", "refused", "anyone"])
def test_who_may_have_an_answer_replaced(cached, origin, settings, expect):
    api = cached(**settings)
    status, warning, number = expect
    assert [api.number("/r"), api.number("/r")] == [1, 1]
    answer = api.ask("/r", headers={"Cache-Control": "max-age=0"})
    assert (answer.status, answer.header("warning")) == (status, warning)
    if number:
        assert answer.json["n"] == number
    after = number or 1
    assert [api.number("/r"), origin.count("/r")] == [after, after], "what it brought is what the others get"
    for value in ("no-cache", "max-age=1", "no-store", "max-age=00"):
        assert api.number("/r", {"Cache-Control": value}) == after, f"{value} asks for nothing here"


def test_a_signed_caller_may_have_an_answer_replaced(region, cached, origin):
    api = cached(unauthorizedCacheControlHeaderStrategy="FAIL_WITH_403")
    gateway = region.nodes[0]["gateway"]
    target = f"/_aws/execute-api/{api.id}/dev/r"

    def ask(service="execute-api", bend=None):
        headers = signed(region, target=target, service=service, url=gateway, headers={"Cache-Control": "max-age=0"})
        return raw.request(gateway, "GET", target, (bend or dict)(headers))

    def forge(headers):
        return headers | {"Authorization": headers["Authorization"][:-4] + "0000"}

    assert api.number("/r") == 1
    for wrong in (ask("s3"), ask(bend=forge)):
        assert (wrong.status, api.number("/r")) == (403, 1)
    answer = ask()
    assert (answer.status, answer.json["n"], answer.header("warning")) == (200, 2, None)
    assert "authorization" not in answer.json["headers"] and api.number("/r") == 2, "what a signature brought is for all"


def test_conditions_are_answered_from_the_store(cached, origin):
    origin.plan("/tag", lines=[("ETag", '"v1"'), ("Last-Modified", "Sun, 06 Nov 1994 08:49:37 GMT")])
    api = cached()
    assert api.ask("/tag", headers={"If-None-Match": '"v1"'}).status == 304, "what is fetched is the whole answer"
    assert api.number("/tag") == 1
    for headers, status in (
        ({"If-None-Match": '"v1"'}, 304), ({"If-None-Match": '"other", W/"v1"'}, 304), ({"If-None-Match": "*"}, 304), ({"If-None-Match": '"v2"'}, 200),
        ({"If-Modified-Since": "Sun, 06 Nov 1994 08:49:37 GMT"}, 304), ({"If-Modified-Since": "Sun, 06 Nov 1994 08:49:36 GMT"}, 200),
        ({"If-None-Match": '"v2"', "If-Modified-Since": "Sun, 06 Nov 1994 08:49:37 GMT"}, 200),
    ):
        answer = api.ask("/tag", headers=headers)
        assert (answer.status, answer.header("etag"), answer.body == b"") == (status, '"v1"', status == 304), headers
    part = api.ask("/tag", headers={"Range": "bytes=0-3"})
    assert (part.status, part.body) == (206, api.ask("/tag").body[:4])
    assert origin.count("/tag") == 1


@pytest.mark.parametrize("header", ["Authorization", "Cookie"])
def test_callers_who_show_credentials_share_nothing(cached, origin, header):
    api = cached()
    for number in range(1, 4):
        answer = api.ask("/mine", headers={header: f"secret-{number}"})
        assert answer.json["headers"][header.lower()] == [f"secret-{number}"]
    assert header.lower() not in api.ask("/mine").json["headers"] and origin.count("/mine") == 4
    assert api.ask("/mine", headers={header: "secret-9"}).json["headers"][header.lower()] == ["secret-9"]
    keyed = cached(keys=[f"header.{header}"])
    for secret in ("a", "b", "a", "b"):
        assert keyed.ask("/keyed", headers={header: secret}).json["headers"][header.lower()] == [secret]
    assert origin.count("/keyed") == 2


def test_answers_that_set_cookies_are_shared_only_where_the_stage_says_so(client, cached, origin):
    origin.plan("/cookie", lines=[("Set-Cookie", "session=1")])
    api = cached()
    assert [api.number("/cookie") for _ in range(3)] == [1, 2, 3]
    client.tag_resource(resourceArn=api.arn, tags={"tidegate:cache-set-cookie": "true"})
    settle(api.region)
    assert [api.ask("/cookie").all("set-cookie") for _ in range(3)] == [["session=1"]] * 3 and origin.count("/cookie") == 4


@pytest.mark.parametrize("mode", ["aws", "rfc9111"])
def test_what_a_header_in_no_key_brought_about_is_for_nobody_else_unless_the_stage_knows_it(client, cached, origin, mode):
    origin.plan("/build", lines=[("Cache-Control", "max-age=60")])
    api = cached(tags={"tidegate:cache": mode})
    assert [api.number("/build", {"X-Build": str(build)}) for build in range(3)] == [1, 2, 3]
    client.tag_resource(resourceArn=api.arn, tags={"tidegate:cache-unkeyed-headers": "x-other X-Build"})
    settle(api.region)
    assert [api.number("/build", {"X-Build": str(build)}) for build in range(3)] == [4, 4, 4]


def test_what_the_upstream_encodes_is_for_those_who_decode_it(cached, origin):
    origin.plan("/zip", lines=[("Content-Encoding", "x-own")])
    api = cached()
    assert api.ask("/zip", headers={"Accept-Encoding": "x-own"}).header("content-encoding") == "x-own"
    for accepted in ({"Accept-Encoding": "identity"}, {}, {"Accept-Encoding": "gzip"}):
        before = origin.count("/zip")
        assert api.ask("/zip", headers=accepted).status == 200 and origin.count("/zip") == before + 1, "it is not known what they decode"
    assert api.ask("/zip", headers={"Accept-Encoding": "x-own"}).json["n"] == 1
    origin.plan("/vary", lines=[("Vary", "X-Lang")])
    answers = [api.ask("/vary", headers={"Accept-Language": language}).json["n"] for language in ("de", "en", "de", "en")]
    assert answers == [1, 1, 1, 1], "a header that does not vary the answer tells nothing apart"


def test_what_the_cache_did_is_told_to_those_who_ask(client, cached, origin):
    api = cached()
    assert api.ask("/s").header("cache-status") is None
    hit = api.told("/s")
    assert hit[0] == "hit" and 295 <= int(hit[1].removeprefix("ttl=")) <= 300
    assert api.told("/s2") == ["fwd=uri-miss", "ttl=300", "stored"]
    assert api.told("/s", headers={"Cookie": "a=1"}) == ["fwd=bypass"]
    client.tag_resource(resourceArn=api.arn, tags={"tidegate:cache-status": "always"})
    wait_until(lambda: (api.ask("/s").header("cache-status") or "").startswith("tidegate; hit; ttl="), "every answer tells")


def test_nodes_answer_from_what_they_hold(region, cached, origin):
    api = cached()
    for _ in range(3):
        for node in region.nodes:
            assert api.ask("/each", node=node).status == 200
    assert 1 <= origin.count("/each") <= len(region.nodes)


def test_a_mapped_integration_is_cached_as_it_is_answered(client, cached, origin):
    api = cached()
    api.api.http("/mapped", f"{origin.url}/mapped", responses={"200": {"responseTemplates": {"application/json": '{"n": $input.json("$.n"), "mapped": true}'}}})
    api.api.deploy()
    api.set((EVERY + "ttlInSeconds", LONG))
    assert [api.ask("/mapped").json for _ in range(3)] == [{"n": 1, "mapped": True}] * 3
    api.api.mock("/mock", body={"mock": 1})
    api.api.deploy()
    api.set((EVERY + "ttlInSeconds", LONG))
    assert [api.ask("/mock").json for _ in range(2)] == [{"mock": 1}] * 2
