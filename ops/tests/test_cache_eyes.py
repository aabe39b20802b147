"""What an operator sees of the cache: `tidegate cache`, metrics per method, and a word in the access log."""

import json
import os
import re
import signal
import threading
import time
from urllib.parse import quote

import pytest

from support import raw
from support.caching import Cached, own
from support.region import suspend, wait_until
from test_eyes import logged, scrape, total

OUTCOMES = ("hits", "misses", "stale", "coalesced", "bypassed")


def counts(api, node):
    """What a node counted for the API's one method."""
    samples = scrape(node)
    return {name: int(total(samples, f"tidegate_cache_{name}_total", api=api.id, stage="dev", method="ANY")) for name in OUTCOMES}


def test_what_the_cache_did_is_counted_and_logged(region, cached, origin):
    api = cached({"tidegate:cache": "rfc9111"})
    node = region.nodes[0]
    origin.plan("/swr", lines=[("Cache-Control", "max-age=1, stale-while-revalidate=600")])
    origin.plan("/new", lines=[("Cache-Control", "max-age=300")])

    def outcome(path, headers=(), method="GET"):
        answer = api.ask(path, method, headers)
        found = logged(region, answer, node)
        assert len(found) == 1
        return found[0].get("cache")

    assert counts(api, node) == dict.fromkeys(OUTCOMES, 0)
    assert [outcome("/swr"), outcome("/swr"), outcome("/swr", {"x-tidegate-cache-status": "1"})] == ["miss", "hit", "hit"]
    time.sleep(1.1)
    assert outcome("/swr") == "stale"
    wait_until(lambda: origin.count("/swr") == 2, "the answer is asked for again")
    assert outcome("/new") == "miss" and outcome("/new", {"If-Match": '"x"'}) == "bypass"
    assert outcome("/new", method="POST") == "-", "what is not cached has nothing to say"
    expect = {"hits": 2, "misses": 2, "stale": 1, "coalesced": 0, "bypassed": 1}
    wait_until(lambda: counts(api, node) == expect, lambda: f"{expect}, found {counts(api, node)}", seconds=5)
    help_lines = raw.request(node["admin"], "GET", "/metrics").text
    assert all(f"# HELP tidegate_cache_{name}" in help_lines for name in OUTCOMES)


def test_who_waited_for_another_one_is_counted_so(region, cached, origin):
    api = cached()
    node = region.nodes[0]
    origin.plan("/slow", pause=0.5)
    answers = []
    threads = [threading.Thread(target=lambda: answers.append(api.ask("/slow"))) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(logged(region, answer, node)[0]["cache"] for answer in answers) == ["coalesced"] * 4 + ["miss"]
    assert counts(api, node) == {"hits": 0, "misses": 1, "stale": 0, "coalesced": 4, "bypassed": 0}
    assert logged(region, api.ask("/slow", headers={"Cookie": "a=1"}), node)[0]["cache"] == "bypass"


@pytest.fixture
def used(region, cached, origin):
    """A stage with three answers that are used differently often on three nodes."""
    api = cached(keys=["querystring.q"])
    origin.plan("/often", lines=[("Cache-Tag", "red, blue")])
    for path, times in (("/often", 40), ("/seldom?q=1", 5), ("/seldom?q=2", 5)):
        for node in region.nodes:
            for _ in range(times):
                assert api.ask(path, node=node).status == 200
    return api


def top(region, *words):
    return json.loads(region.tidegate("cache", "top", "-o", "json", *words).stdout)


def test_the_most_used_answers_are_listed(region, used):
    def told():
        found = top(region, "--api", used.id, "--count", "2")
        return found if found["entries"] and found["entries"][0]["hits"] >= 100 else None

    # Shards tell how often an answer was used once a second.
    found = wait_until(told, lambda: top(region, "--api", used.id))
    assert found["silent"] == [] and len(found["entries"]) == 2
    (stage,) = found["stages"]
    first = found["entries"][0]
    assert (stage["api"], stage["stage"], stage["hits"] + stage["misses"]) == (used.id, "dev", 150)
    assert stage["entries"] >= 3 and stage["bytes"] > 1_000 and stage["stale"] == stage["bypassed"] == 0
    assert {name: first[name] for name in ("verb", "path", "resource", "status", "tags")} == {
        "verb": "GET", "path": "/often", "resource": "/{proxy+}", "status": 200, "tags": ["red", "blue"],
    }
    assert 0 <= first["age_s"] < 60 and 240 <= first["ttl_s"] <= 300
    text = region.tidegate("cache", "top", "--api", used.id, "--stage", "dev").stdout
    assert re.search(r"^API +STAGE +ENTRIES +BYTES +HIT % ", text) and re.search(rf"^{used.id} +dev +GET /often +/\{{proxy\+\}} +200 ", text, re.MULTILINE), text
    assert top(region, "--api", "nope") == {"stages": [], "entries": [], "silent": []}
    assert "no stage caches anything" in region.tidegate("cache", "top", "--stage", "nope").stdout


def test_one_path_is_looked_for_on_every_node(region, used):
    def get(path, *more):
        return json.loads(region.tidegate("cache", "get", "--api", used.id, "--stage", "dev", path, "-o", "json", *more).stdout)

    ids = sorted(node["node_id"] for node in region.nodes)
    assert [found["node"] for found in get("/often")["found"]] == ids
    assert len(get("/seldom")["found"]) == 6, "whatever the query"
    assert [found["node"] for found in get("/seldom?q=2")["found"]] == ids
    assert get("/seldom?q=3") == {"found": [], "silent": []} == get("/nope")
    assert "no node has stored an answer to GET /nope" in region.tidegate("cache", "get", "--api", used.id, "--stage", "dev", "/nope").stdout
    failed = region.tidegate("cache", "get", "--api", used.id, "--stage", "dev", "often", check=False)
    assert failed.returncode == 1 and "must begin with /" in failed.stderr


def test_the_command_line_takes_out_what_it_is_told_to(region, used, origin):
    def purge(*words, check=True):
        return region.tidegate("cache", "purge", "--api", used.id, "--stage", "dev", *words, check=check)

    def held(path):
        return len(own(region, "GET", f"/_tidegate/cache/entry?api={used.id}&stage=dev&path={quote(path, safe='')}")[1]["found"])

    assert (held("/often"), held("/seldom")) == (3, 6)
    assert "with tag blue" in purge("--tag", "blue").stdout and (held("/often"), held("/seldom")) == (0, 6)
    assert used.number("/often") == 4
    assert json.loads(purge("--prefix", "/sel", "--method", "GET", "-o", "json").stdout)["purged"] == "part"
    assert (held("/often"), held("/seldom")) == (1, 0)
    assert purge().stdout.strip() == f"no node serves what was stored of {used.id}/dev" and held("/often") == 0
    for words, reason in ((["--resource", "/nope"], "has no resource '/nope'"), (["--prefix", "x"], "must begin with /"), (["--method", "get"], "invalid value 'get'")):
        failed = purge(*words, check=False)
        assert failed.returncode != 0 and reason in failed.stderr, failed.stderr
    unknown = region.tidegate("cache", "purge", "--api", "nope", "--stage", "dev", check=False)
    assert unknown.returncode == 1 and "404" in unknown.stderr


def test_help_says_what_is_shown(region):
    for words, parts in (
        (["cache", "--help"], ["top", "get", "purge"]), (["cache", "top", "--help"], ["HIT %", "COALESCED", "--count", "--api", "--stage"]),
        (["cache", "get", "--help"], ["<PATH>", "--api <ID>"]), (["cache", "purge", "--help"], ["--tag <TAG>", "--prefix <START>", "on every node"]),
    ):
        text = region.tidegate(*words).stdout
        assert all(part in text for part in parts), text


def test_silent_nodes_are_named(own_region, origin):
    region = own_region
    api = Cached(region, region.client(), origin, ttlInSeconds="300")
    for node in region.nodes:
        api.ask("/a", node=node)
    first, _, last = region.nodes
    suspend(last["pid"])
    try:
        started = time.monotonic()
        status, found = own(region, "GET", f"/_tidegate/cache/entry?api={api.id}&stage=dev&path=%2Fa", node=first)
        assert (status, found["silent"], len(found["found"])) == (200, [last["node_id"]], 2) and time.monotonic() - started < 5
        status, found = own(region, "GET", "/_tidegate/cache/top", node=first)
        assert (status, found["silent"]) == (200, [last["node_id"]])
    finally:
        os.kill(last["pid"], signal.SIGCONT)
