"""Requests and upstreams that mean harm to the cache: nobody gets an answer that was made for somebody else, and nothing broken is kept."""

import threading
import time

import pytest

from support import raw
from support.origin import BROKEN_CHUNKS, CHUNKED, NOTHING, TRUNCATED, UNTIL_CLOSED
from support.raw import exchange, statuses
from support.region import wait_until

HTTP = {"tidegate:cache": "rfc9111"}
FRESH = (("Cache-Control", "max-age=300"),)
MEBIBYTE = 1 << 20

# What frameworks, servers and proxies obey although no cache has it in a key.
MINED = """
X-Forwarded-Host X-Forwarded-Server X-Forwarded-Scheme X-Forwarded-Prefix X-Forwarded-Path X-Forwarded-Uri X-Forwarded-Url X-Forwarded-Ssl
X-Forwarded-Protocol X-Forwarded-Method X-Forwarded-User X-Forwarded-Email X-Forwarded-Groups X-Forwarded-By X-Forwarded X-Forward-For
X-Original-URL X-Original-URI X-Original-Host X-Original-Method X-Original-Forwarded-Host X-Original-Remote-Addr X-Rewrite-URL X-Rewrite-URI
X-HTTP-Method-Override X-HTTP-Method X-Method-Override X-HTTP-Host-Override X-Host X-Host-Override X-Host-Name X-Backend-Host X-Proxy-Host X-Proxy-URL
X-Real-Host X-Server-Name X-Url-Scheme X-Scheme X-Https Front-End-Https X-Remote-User X-Remote-Addr X-Remote-IP X-Originating-IP X-Cluster-Client-IP
X-True-Client-IP X-Custom-IP-Authorization X-Client-Cert X-SSL-Client-Cert X-SSL-Client-Verify X-SSL-Client-DN X-WebAuth-User X-User X-User-Id X-Role X-Tenant
X-Accel-Redirect X-Sendfile-Type X-Accel-Mapping X-Middleware-Prefetch X-Middleware-Subrequest X-Nextjs-Data X-Invoke-Path X-Invoke-Status X-Matched-Path
X-Now-Route-Matches RSC Next-Router-Prefetch Next-Action X-Inertia X-Livewire X-PJAX HX-Request Turbo-Frame X-Remix-Data X-Lang X-Locale X-Language
X-Country X-Geo-Country X-Timezone X-Currency X-Device X-Mobile X-UA-Device X-Wap-Profile X-Api-Version Accept-Version X-Version X-Variant X-AB-Test
X-Feature-Flags X-Debug X-Env X-Preview X-Esi Surrogate-Capability Forwarded Client-IP Real-IP Proxy Destination Base-Url Http-Url Request-Uri Redirect
Translate X_Forwarded_Host X_Original_Url Content_Length X-Anything-Else X-Oberon
""".split()


@pytest.mark.parametrize("tags", [None, HTTP], ids=["aws", "rfc9111"])
def test_no_header_that_is_in_no_key_reaches_the_next_caller(cached, origin, tags):
    origin.plan_all(lines=FRESH)
    api = cached(tags)
    assert len(set(MINED)) >= 60
    for number, name in enumerate(MINED):
        path, evil = f"/mined/{number}", f"evil-{number}.example"
        api.ask(path, headers={name: evil})
        for headers in ({}, {"Accept": "*/*"}):
            answer = api.ask(path, headers=headers)
            assert answer.status == 200 and "evil" not in str(answer), f"{name} poisons: {answer}"
        assert api.ask(path).header("age") is not None, f"after {name} nothing is stored"
        # A stored answer cannot be replaced by one that would not have been stored.
        api.ask(path, headers={name: evil, "Cache-Control": "max-age=0, no-cache"})
        assert "evil" not in str(api.ask(path)), name


@pytest.mark.parametrize("tags", [None, HTTP], ids=["aws", "rfc9111"])
def test_nobody_who_waits_is_handed_what_another_ones_header_made(cached, origin, tags):
    origin.plan_all(lines=FRESH, pause=0.3)
    api = cached(tags)
    found = []

    def ask(headers):
        found.append((headers, api.ask("/wait", headers=headers)))

    threads = [threading.Thread(target=ask, args=({"X-Forwarded-Host": "evil"} if number % 4 == 0 else {},)) for number in range(12)]
    for thread in threads:
        thread.start()
        time.sleep(0.01)
    for thread in threads:
        thread.join()
    for headers, answer in found:
        assert ("evil" in answer.text) == bool(headers), (headers, answer)


@pytest.mark.parametrize("tags", [None, HTTP], ids=["aws", "rfc9111"])
def test_a_variant_is_for_those_who_ask_as_it_was_asked_for(cached, origin, tags):
    origin.plan_all(lines=(*FRESH, ("Vary", "X-Forwarded-Host, Accept-Language")))
    api = cached(tags)
    for host in ("a", "b", None, "a", "b", None):
        for language in ("de", "en"):
            answer = api.ask("/vary", headers={"Accept-Language": language} | ({"X-Forwarded-Host": host} if host else {}))
            seen = answer.json["headers"]
            assert (seen.get("x-forwarded-host"), seen["accept-language"]) == ([host] if host else None, [language])
    origin.plan("/all", lines=(*FRESH, ("Vary", "*")))
    assert [api.number("/all") for _ in range(3)] == [1, 2, 3]


@pytest.mark.parametrize("tags", [None, HTTP], ids=["aws", "rfc9111"])
def test_a_request_with_a_body_is_neither_answered_from_the_cache_nor_stored(cached, origin, tags):
    origin.plan_all(lines=FRESH)
    api = cached(tags)
    fat = [{"body": "evil"}, {}, {"body": "evil"}, {"chunks": [b"ev", b"il"]}, {}]
    answers = [api.ask("/fat", **more).json for more in fat]
    assert [answer["n"] for answer in answers] == [1, 2, 3, 4, 2] and {answer["body"] for answer in answers} == {""}
    assert api.ask("/fat", headers={"Content-Length": "0"}).json["n"] == 2, "no body is no body"


# Each is another resource to some upstream; whether it is one is not for the cache to say.
PATHS = """
/a/b /a/b/ /a//b //a/b /a/./b /a/%2e/b /a/%2E/b /a/../b /a/%2e%2e/b /a/x/../b /a/x/%2e%2e/b /a%2Fb /a%2fb /a%5Cb /a;/b /a;x=1/b /a/b; /a/b;.css /a/b.css
/a/b%2ecss /a/b%2Ecss /a/b%3Fq=1 /a/b%23f /a/b%3B.css /A/b /%61/b /a/%62 /a/b%20 /a/b+ /a/b%2B /a/b%0A.css /a/b%0d%0aX-Evil:%201 /a/b~ /a/b%7E /a/b%25 /a/b%2525
/a/b%00 /a/b%00.css /%00 /a/b%E2%80%8B /a/b%c3%a9 /a/b%C3%A9 /a/b... /a/b,c /a/b%2Cc /a/b:c /a/b@c /a/b&c /a/b=c /a/b!c /a/b%21c
""".split()


@pytest.mark.parametrize("tags", [None, HTTP], ids=["aws", "rfc9111"])
def test_no_spelling_of_a_path_is_answered_with_another_ones_answer(cached, origin, tags):
    origin.plan_all(lines=FRESH)
    api = cached(tags)
    plain = cached(enabled="false")
    expected = {path: (answer.status, answer.json.get("target")) for path in PATHS if (answer := plain.ask(path))}
    assert len({target for status, target in expected.values() if status == 200}) > 30
    for _ in range(3):
        for path, expect in expected.items():
            answer = api.ask(path)
            assert (answer.status, answer.json.get("target")) == expect, path
    served = [path for path, (status, _) in expected.items() if status == 200]
    assert all(api.ask(path).header("age") is not None for path in served)


@pytest.mark.parametrize("path", ["/a/b\0", "/a/b\0.css", "/a/b#f", "/a/b c", "/a/b\x7f"])
def test_paths_that_nobody_reads_alike_are_refused(region, cached, origin, path):
    api = cached()
    head = f"GET /dev{path} HTTP/1.1\r\nHost: {region.host(api.id)}\r\nConnection: close\r\n\r\n"
    found = statuses(exchange(region.nodes[0]["gateway"], head.encode(), timeout=5))
    assert found and all(400 <= status < 500 for status in found) and not origin.asked, found


def test_apis_and_stages_share_nothing(client, region, cached, origin):
    one, other = cached(), cached()
    deployment = client.get_stage(**one.stage)["deploymentId"]
    client.create_stage(restApiId=one.id, stageName="second", deploymentId=deployment, cacheClusterEnabled=True)
    operations = [{"op": "replace", "path": "/*/*/caching/enabled", "value": "true"}]
    client.update_stage(restApiId=one.id, stageName="second", patchOperations=operations)
    assert [one.number("/s"), other.number("/s"), one.number("/s")] == [1, 2, 1]
    node = region.nodes[0]
    wait_until(lambda: (answer := region.call(one.id, "second", "/s", node=node)).status == 200 and answer.header("age"), "the second stage caches")
    assert region.call(one.id, "second", "/s", node=node).json["n"] >= 3
    # The host of one API does not lead to the answers of another one.
    line = raw.request(node["gateway"], "GET", f"/dev{'/s'}", [("Host", region.host(other.id)), ("X-Forwarded-Host", region.host(one.id))])
    assert line.json["n"] == 2


BROKEN = [
    ("truncated", {"ends": TRUNCATED}), ("broken chunks", {"ends": BROKEN_CHUNKS}), ("until closed", {"ends": UNTIL_CLOSED}), ("nothing", {"ends": NOTHING}),
    ("one byte too large", {"body": b"x" * (MEBIBYTE + 1)}), ("too large in chunks", {"body": b"x" * (MEBIBYTE + 1), "ends": CHUNKED}),
    ("much too large", {"body": b"x" * 3 * MEBIBYTE}),
]


@pytest.mark.parametrize("tags", [None, HTTP], ids=["aws", "rfc9111"])
@pytest.mark.parametrize("plan", [case[1] for case in BROKEN], ids=[case[0] for case in BROKEN])
def test_what_is_not_whole_is_not_stored(cached, origin, tags, plan):
    api = cached(tags)
    origin.plan("/b", **({"lines": FRESH} | plan))
    for number in range(1, 4):
        try:
            answer = api.ask("/b")
        except (OSError, raw.http.client.HTTPException):
            answer = None
        assert origin.count("/b") >= number and (answer is None or answer.header("age") is None)
        if answer and "body" in plan:
            assert answer.status == 200 and answer.body == plan["body"], "what is too large passes through"
    asked = origin.count("/b")
    origin.plan("/b", lines=FRESH)
    assert api.number("/b") == asked + 1 and api.number("/b") == asked + 1, "a good answer is stored as soon as there is one"


@pytest.mark.parametrize("tags", [None, HTTP], ids=["aws", "rfc9111"])
def test_what_is_whole_is_stored_however_it_comes(cached, origin, tags):
    api = cached(tags)
    for number, plan in enumerate(({"body": b"x" * MEBIBYTE}, {"body": b"y" * MEBIBYTE, "ends": CHUNKED}, {"ends": CHUNKED}, {"body": b""})):
        path = f"/w{number}"
        origin.plan(path, **({"lines": FRESH} | plan))
        bodies = {api.ask(path).body for _ in range(3)}
        assert len(bodies) == 1 and origin.count(path) == 1, plan.keys()
        assert "body" not in plan or bodies == {plan["body"]}


def test_a_client_that_leaves_does_not_take_the_answer_with_it(region, cached, origin):
    origin.plan("/leave", pause=0.4)
    api = cached()
    head = f"GET /dev/leave HTTP/1.1\r\nHost: {region.host(api.id)}\r\n\r\n"
    assert exchange(region.nodes[0]["gateway"], head.encode(), timeout=0.1) == b""
    wait_until(lambda: origin.count("/leave") == 1, "the upstream is asked")
    assert [api.number("/leave"), api.number("/leave"), origin.count("/leave")] == [1, 1, 1]
