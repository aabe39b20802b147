"""Which method serves a request, and what callers see when none does."""

import re

import pytest

from support.apis import Api

UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
NO_ROUTE = {"message": "Missing Authentication Token"}

METHODS = [
    ("/", "GET"), ("/pets", "GET"), ("/pets", "ANY"), ("/pets/{id}", "GET"), ("/pets/mine", "POST"), ("/pets/{id}/toys", "GET"),
    ("/pets/mine/bed", "GET"), ("/files/{proxy+}", "ANY"), ("/files/readme", "GET"), ("/files/{proxy+}", "GET"),
    ("/deep/{a}/{b}", "GET"), ("/deep/x/{b}", "GET"), ("/any", "ANY"), ("/any", "POST"), ("/a.b-c_d:e,f", "GET"),
]

# Request → the resource and verb that must serve it; None is 403.
ROUTES = [
    ("GET", "", ("/", "GET")),
    ("GET", "/", ("/", "GET")),
    ("GET", "/pets", ("/pets", "GET")),
    ("GET", "/pets/", ("/pets", "GET")),
    ("POST", "/pets", ("/pets", "ANY")),
    ("OPTIONS", "/pets", ("/pets", "ANY")),
    ("GET", "/pets/7", ("/pets/{id}", "GET")),
    ("GET", "/pets/%20", ("/pets/{id}", "GET")),
    ("POST", "/pets/mine", ("/pets/mine", "POST")),
    ("GET", "/pets/mine", ("/pets/{id}", "GET")),
    ("GET", "/pets/mine/bed", ("/pets/mine/bed", "GET")),
    ("GET", "/pets/mine/toys", ("/pets/{id}/toys", "GET")),
    ("DELETE", "/pets/7", None),
    ("HEAD", "/pets/7", None),
    ("GET", "/pets/7/beds", None),
    ("GET", "/files/a", ("/files/{proxy+}", "GET")),
    ("GET", "/files/a/b/c", ("/files/{proxy+}", "GET")),
    ("PUT", "/files/a/b/c", ("/files/{proxy+}", "ANY")),
    ("GET", "/files/readme", ("/files/readme", "GET")),
    ("PUT", "/files/readme", ("/files/{proxy+}", "ANY")),
    ("GET", "/files/readme/more", ("/files/{proxy+}", "GET")),
    ("GET", "/files", None),
    ("GET", "/deep/x/1", ("/deep/x/{b}", "GET")),
    ("GET", "/deep/y/1", ("/deep/{a}/{b}", "GET")),
    ("POST", "/any", ("/any", "POST")),
    ("HEAD", "/any", ("/any", "ANY")),
    ("GET", "/ANY", None),
    ("GET", "/a.b-c_d:e,f", ("/a.b-c_d:e,f", "GET")),
    ("GET", "/nowhere", None),
    ("GET", "/pets?x=/files/a", ("/pets", "GET")),
]


@pytest.fixture(scope="module")
def tree(client, everywhere):
    api = Api(client, "routes")
    for path, verb in METHODS:
        api.mock(path, verb)
    api.deploy()
    everywhere(api.id, "dev", "/any")
    yield api
    api.delete()


@pytest.mark.parametrize("verb, path, expect", ROUTES, ids=[f"{case[0]} {case[1]}" for case in ROUTES])
def test_precedence(region, tree, verb, path, expect):
    answer = region.call(tree.id, "dev", path, verb)
    if expect is None:
        assert answer.status == 403 and (verb == "HEAD" or answer.json == NO_ROUTE), answer
    else:
        assert answer.status == 200, answer
        assert verb == "HEAD" or answer.json == {"path": expect[0], "verb": expect[1]}


def test_a_missing_route_answers_as_aws(region, tree):
    answer = region.call(tree.id, "dev", "/nowhere")
    assert (answer.status, answer.body) == (403, b'{"message":"Missing Authentication Token"}')
    assert answer.header("x-amzn-ErrorType") == "MissingAuthenticationTokenException"
    assert answer.header("content-type") == "application/json"
    assert UUID.fullmatch(answer.header("x-amzn-RequestId"))
    assert answer.header("x-amz-apigw-id").endswith("=")


@pytest.mark.parametrize("api, stage", [("unknown123", "dev"), (None, "nostage"), (None, "DEV")])
def test_an_unknown_api_or_stage_is_forbidden(region, tree, api, stage):
    answer = region.call(api or tree.id, stage, "/any")
    assert (answer.status, answer.body) == (403, b'{"message":"Forbidden"}')
    assert answer.header("x-amzn-ErrorType") == "ForbiddenException"


def test_the_host_label_ignores_case(region, tree):
    host = region.host(tree.id.upper()).replace("execute-api", "Execute-API")
    assert region.call(tree.id, "dev", "/any", headers={"Host": host}).status == 200


def test_host_ports_and_other_suffixes(region, tree):
    for host in (f"{tree.id}.execute-api.eu-west-1.amazonaws.com", f"{tree.id}.execute-api.x.localhost:8080"):
        assert region.call(tree.id, "dev", "/any", headers={"Host": host}).status == 200, host


def test_a_host_that_names_no_api_is_forbidden(region):
    answer = region.call("x", "dev", "/any", headers={"Host": "localhost"})
    assert (answer.status, answer.json) == (403, {"message": "Forbidden"})


def test_a_header_overrides_the_verb(region, tree):
    """X-HTTP-Method-Override, as AWS documents it."""
    overridden = region.call(tree.id, "dev", "/pets/mine", "GET", {"X-HTTP-Method-Override": "POST"})
    assert overridden.json == {"path": "/pets/mine", "verb": "POST"}
    assert region.call(tree.id, "dev", "/pets/7", "GET", {"X-HTTP-Method-Override": "DELETE"}).status == 403


def test_every_answer_has_its_own_request_id(region, tree):
    ids = [region.call(tree.id, "dev", "/any").header("x-amzn-RequestId") for _ in range(20)]
    assert len(set(ids)) == 20 and all(map(UUID.fullmatch, ids))


def test_success_has_no_error_type(region, tree):
    answer = region.call(tree.id, "dev", "/any")
    assert answer.all("x-amzn-ErrorType") == [] and answer.header("x-amz-apigw-id")


def test_an_api_key_is_required_where_the_method_says_so(region, make_api, everywhere):
    api = make_api()
    api.mock("/k", method={"apiKeyRequired": True}).mock("/open")
    api.deploy()
    everywhere(api.id, "dev", "/open")
    for headers in ({}, {"x-api-key": "no such key"}):
        answer = region.call(api.id, "dev", "/k", headers=headers)
        assert (answer.status, answer.json) == (403, {"message": "Forbidden"})
        assert answer.header("x-amzn-ErrorType") == "ForbiddenException"


def test_path_bytes_reach_the_upstream_unchanged(region, make_api, upstream, everywhere):
    """Percent-escapes are not decoded and inner double slashes stay."""
    api = make_api()
    api.proxy("/p/{proxy+}", f"{upstream.url}/up/{{proxy}}", method={"requestParameters": {"method.request.path.proxy": True}},
              requestParameters={"integration.request.path.proxy": "method.request.path.proxy"})
    api.deploy()
    everywhere(api.id, "dev", "/p/x")
    for path in ("test%2Balias@gmail.com", "a//b", "a%2Fb", "%C3%A4"):
        assert region.call(api.id, "dev", f"/p/{path}").json["target"] == f"/up/{path}", path
