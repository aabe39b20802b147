"""Answers cached as HTTP defines it (RFC 9111, RFC 5861, RFC 9211), as far as the suite of cache-tests.fyi leaves it open."""

import threading
import time

import pytest

from support.caching import Cached
from support.origin import Origin
from support.region import wait_until

HTTP = {"tidegate:cache": "rfc9111"}


def lines(control, *more):
    return (("Cache-Control", control), *more)


@pytest.fixture
def doomed(region, client):
    """An upstream that the test may end, and a stage before it."""
    origin = Origin()
    api = Cached(region, client, origin, HTTP)

    def end():
        origin.close()
        origin.hang_up()

    yield api, origin, end
    origin.hang_up()
    api.delete()


def stale(api, path, seconds=5):
    """Waits until the stored answer has been stale for a moment, without asking for it."""
    left = int(api.told(path)[1].removeprefix("ttl="))
    assert left <= seconds
    time.sleep(left + 0.1)


def test_the_upstream_says_for_how_long(cached, origin):
    api = cached(HTTP)
    for path, given, expect in (
        ("/fresh", lines("max-age=300"), [1, 1, 1]), ("/shared", lines("max-age=0, s-maxage=300"), [1, 1, 1]), ("/no", lines("no-store"), [1, 2, 3]),
        ("/private", lines("private, max-age=300"), [1, 2, 3]), ("/unsaid", (), [1, 2, 3]), ("/cdn", lines("no-store", ("CDN-Cache-Control", "max-age=300")), [1, 1, 1]),
        ("/aged", lines("max-age=300", ("Age", "300")), [1, 2, 3]),
    ):
        origin.plan(path, lines=given)
        assert [api.number(path) for _ in range(3)] == expect, path
    origin.plan("/young", lines=lines("max-age=300", ("Age", "100")))
    assert 100 <= int(api.ask("/young").header("age")) <= int(api.ask("/young").header("age")) <= 110


def test_queries_are_in_the_key(cached, origin):
    origin.plan_all(lines=lines("max-age=300"))
    api = cached(HTTP)
    targets = ["/q", "/q?", "/q?a=1", "/q?a=2", "/q?a=1&b=2", "/q?b=2&a=1", "/q?a=%31", "/q?A=1", "/q?a=1&", "/q?a"]
    first = [api.number(target) for target in targets]
    assert len(set(first)) == len(targets) and [api.number(target) for target in targets] == first


def test_a_stale_answer_is_asked_for_with_its_validator(cached, origin):
    origin.plan("/etag", lines=lines("max-age=1"), etag='"v1"')
    api = cached(HTTP)
    first = api.ask("/etag")
    stale(api, "/etag")
    assert api.told("/etag") == ["fwd=stale", "fwd-status=304", "ttl=1", "stored"]
    assert (api.ask("/etag").body, origin.count("/etag")) == (first.body, 2)
    assert origin.seen[-1].header("if-none-match") == '"v1"'
    assert api.ask("/etag", headers={"If-None-Match": '"v1"'}).status == 304
    origin.plan("/etag", lines=lines("max-age=300"), etag='"v2"')
    stale(api, "/etag")
    assert api.number("/etag") == 3 and api.ask("/etag").header("etag") == '"v2"'


def test_the_client_may_ask_for_less_or_more(cached, origin):
    origin.plan_all(lines=lines("max-age=300"))
    api = cached(HTTP)
    assert api.ask("/c", headers={"Cache-Control": "only-if-cached"}).status == 504 and origin.count("/c") == 0
    assert [api.number("/c"), api.number("/c", {"Cache-Control": "only-if-cached"})] == [1, 1]
    for control in ("no-cache", "max-age=0", "min-fresh=301"):
        before = origin.count("/c")
        assert api.told("/c", {"Cache-Control": control})[0] == "fwd=request" and origin.count("/c") == before + 1, control
    assert api.ask("/c", "HEAD").header("age") is not None and origin.count("/c") == 4, "HEAD is answered with what GET left"
    assert api.ask("/c", headers={"Range": "bytes=0-4"}).status == 206 and origin.count("/c") == 4


def test_a_change_makes_the_stored_answer_invalid(cached, origin):
    origin.plan_all(lines=lines("max-age=300"))
    api = cached(HTTP)
    for verb in ("POST", "PUT", "PATCH", "DELETE"):
        before = api.number("/thing")
        assert api.number("/thing") == before
        api.ask("/thing", verb)
        assert api.number("/thing") == before + 2, verb
    kept = api.number("/thing")
    origin.plan("/thing", status=500, lines=lines("max-age=300"))
    assert api.ask("/thing", "POST").status == 500 and api.number("/thing") == kept, "a change that failed changed nothing"


def test_a_method_has_rules_of_its_own(cached, origin, client):
    origin.plan_all(lines=lines("max-age=300"))
    api = cached(HTTP)
    api.api.proxy("/off", f"{origin.url}/off", "GET")
    client.update_method(**api.api.at("/off", "GET"), patchOperations=[{"op": "replace", "path": "/tidegateCache", "value": "off"}])
    api.api.deploy()
    api.set(("/variables/x", "1"))
    assert [api.number("/off") for _ in range(3)] == [1, 2, 3] and [api.number("/on") for _ in range(3)] == [1, 1, 1]


def test_stale_answers_stand_in_for_an_upstream_that_is_gone(doomed):
    api, origin, end = doomed
    for path, control in (("/sie", "max-age=1, stale-if-error=600"), ("/plain", "max-age=1"), ("/must", "max-age=1, must-revalidate"), ("/zero", "max-age=1, stale-if-error=0")):
        origin.plan(path, lines=lines(control))
        assert api.number(path) == 1
    time.sleep(1.1)
    end()
    for path, expect in (("/sie", 200), ("/plain", 200), ("/must", 504), ("/zero", 504)):
        answer = api.ask(path)
        assert (answer.status, answer.header("age") is not None) == (expect, expect == 200), (path, answer)
    assert api.told("/sie") == ["fwd=stale"]


@pytest.mark.parametrize("status", [500, 502, 503, 504, 404])
def test_stale_answers_stand_in_for_errors_where_the_upstream_allows_it(cached, origin, status):
    api = cached(HTTP)
    origin.plan("/error", lines=lines("max-age=1, stale-if-error=600"))
    origin.plan("/none", lines=lines("max-age=1"))
    assert [api.number("/error"), api.number("/none")] == [1, 1]
    time.sleep(1.1)
    origin.plan_all(status=status)
    origin.plan("/error", status=status)
    origin.plan("/none", status=status)
    assert (api.ask("/error").status, api.ask("/none").status) == (200 if status >= 500 else 404, status)


def test_a_stale_answer_is_given_at_once_while_one_request_asks_again(cached, origin):
    origin.plan("/swr", lines=lines("max-age=1, stale-while-revalidate=600"))
    api = cached(HTTP)
    assert api.number("/swr") == 1
    time.sleep(1.1)
    origin.plan("/swr", lines=lines("max-age=300, stale-while-revalidate=600"), pause=1.5)
    found = []
    threads = [threading.Thread(target=lambda: found.append(api.ask("/swr"))) for _ in range(24)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [answer.json["n"] for answer in found] == [1] * 24, "nobody waits for the upstream"
    assert max(answer.seconds for answer in found) < 1.4 and origin.count("/swr") == 2
    wait_until(lambda: api.number("/swr") == 2, "the new answer", seconds=5)
    assert [api.number("/swr") for _ in range(5)] == [2] * 5 and origin.count("/swr") == 2


def test_the_cache_says_what_it_did(cached, origin):
    origin.plan_all(lines=lines("max-age=300"))
    api = cached(HTTP)
    assert api.told("/t") == ["fwd=uri-miss", "ttl=300", "stored"]
    hit = api.told("/t")
    assert hit[0] == "hit" and 295 <= int(hit[1].removeprefix("ttl=")) <= 300
    origin.plan("/no", lines=lines("no-store"))
    assert api.told("/no")[0] == "fwd=uri-miss" and "stored" not in api.told("/no")
    origin.plan("/slow", lines=lines("max-age=300"), pause=0.5)
    found = []
    threads = [threading.Thread(target=lambda: found.append(api.told("/slow"))) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found).count(["fwd=uri-miss", "ttl=300", "stored"]) == 1 and sum("collapsed" in told for told in found) == 5, found
