"""Stage variables, parameter mapping and mapping templates on deployed APIs."""

import pytest


def declared(*names):
    return {"requestParameters": {f"method.request.{name}": False for name in names}}


def test_request_parameters_of_every_source(region, make_api, upstream, everywhere):
    api = make_api()
    api.http(
        "/pets/{id}", f"{upstream.url}/up/{{pet}}", method=declared("path.id", "querystring.q", "header.X-In"),
        requestParameters={
            "integration.request.path.pet": "method.request.path.id",
            "integration.request.querystring.query": "method.request.querystring.q",
            "integration.request.querystring.all": "method.request.multivaluequerystring.q",
            "integration.request.header.X-Out": "method.request.header.X-In",
            "integration.request.header.X-Static": "'fixed'",
            "integration.request.header.X-Stage": "stageVariables.color",
            "integration.request.header.X-Api": "context.apiId",
            "integration.request.header.X-Where": "context.stage",
        },
    )
    api.deploy(variables={"color": "blue"})
    everywhere(api.id, "dev", "/pets/0")
    upstream.forget()
    region.call(api.id, "dev", "/pets/7?q=1&q=2", headers={"X-In": "in"})
    seen = upstream.only()
    assert seen.target.split("?")[0] == "/up/7"
    assert set(seen.target.split("?")[1].split("&")) == {"query=2", "all=1", "all=2"}
    found = {name: seen.header(name) for name in ("x-out", "x-static", "x-stage", "x-api", "x-where")}
    assert found == {"x-out": "in", "x-static": "fixed", "x-stage": "blue", "x-api": api.id, "x-where": "dev"}


def test_body_mapping(region, make_api, upstream, everywhere):
    api = make_api()
    api.http(
        "/b", f"{upstream.url}/echo", "POST",
        requestParameters={"integration.request.header.X-Name": "method.request.body.pet.name"},
    )
    api.deploy()
    everywhere(api.id, "dev", "/b", method="POST", body="{}")
    upstream.forget()
    region.call(api.id, "dev", "/b", "POST", {"Content-Type": "application/json"}, '{"pet": {"name": "Rex"}}')
    assert upstream.only().header("x-name") == "Rex"
    answer = region.call(api.id, "dev", "/b", "POST", {"Content-Type": "application/json"}, '{"pet": ')
    assert (answer.status, answer.json) == (400, {"message": "Invalid JSON in request body"})
    assert answer.header("x-amzn-ErrorType") == "BadRequestException"


def test_response_parameters_of_every_source(region, make_api, upstream, everywhere):
    api = make_api()
    api.http("/r", f"{upstream.url}/with-headers", responses={"200": {"responseParameters": {
        "method.response.header.X-From": "integration.response.header.X-Backend",
        "method.response.header.X-Body": "integration.response.body.none",
        "method.response.header.X-Static": "'fixed'",
        "method.response.header.X-Stage": "stageVariables.color",
        "method.response.header.X-Context": "context.httpMethod",
    }}})
    api.deploy(variables={"color": "blue"})
    everywhere(api.id, "dev", "/r")
    upstream.response_lines = [("X-Backend", "b")]
    answer = region.call(api.id, "dev", "/r")
    found = {name: answer.header(name) for name in ("x-from", "x-static", "x-stage", "x-context")}
    assert found == {"x-from": "b", "x-static": "fixed", "x-stage": "blue", "x-context": "GET"}


def test_status_selects_the_integration_response(region, client, make_api, upstream, everywhere):
    api = make_api()
    responses = {
        "200": {"responseTemplates": {"application/json": '{"was": "default"}'}},
        "404": {"selectionPattern": "40\\d", "responseTemplates": {"application/json": '{"was": "4xx"}'}},
        "502": {"selectionPattern": "5\\d{2}", "responseTemplates": {"application/json": '{"was": "5xx"}'}},
    }
    for status in (200, 404, 409, 503):
        api.http(f"/s{status}", f"{upstream.url}/status/{status}", responses=responses)
    api.deploy()
    everywhere(api.id, "dev", "/s200", expect={"was": "default"})
    for status, expect in ((404, (404, "4xx")), (409, (404, "4xx")), (503, (502, "5xx"))):
        answer = region.call(api.id, "dev", f"/s{status}")
        assert (answer.status, answer.json["was"]) == expect, status


def test_no_matching_integration_response_is_an_error(region, client, make_api, upstream, everywhere):
    api = make_api()
    api.http("/s", f"{upstream.url}/status/201", responses={"200": {"selectionPattern": "200"}})
    api.deploy()
    everywhere(api.id, "dev", "/s", status=500, expect={"message": "Internal server error"})


def test_templates_render_both_ways(region, make_api, upstream, everywhere):
    api = make_api()
    request = """#set($in = $input.path('$'))
{"name": "$in.name", "q": "$input.params('q')", "id": "$context.resourcePath", "n": [#foreach($x in $in.list)$x#if($foreach.hasNext),#end#end]}"""
    response = "{\"upstream\": \"$util.escapeJavaScript($input.path('$.method'))\", \"body\": $input.json('$.body')}"
    api.http(
        "/t", f"{upstream.url}/echo", "POST", responses={"200": {"responseTemplates": {"application/json": response}}},
        requestTemplates={"application/json": request},
    )
    api.deploy()
    everywhere(api.id, "dev", "/t", method="POST", body='{"name":"x","list":[]}')
    body = '{"name": "Rex", "list": [1, 2, 3]}'
    answer = region.call(api.id, "dev", "/t?q=find", "POST", {"Content-Type": "application/json"}, body)
    assert answer.status == 200 and answer.json["upstream"] == "POST"
    assert answer.json["body"].strip() == '{"name": "Rex", "q": "find", "id": "/t", "n": [1,2,3]}'


MOCKS = [
    ("integer", '{"statusCode": 200}', 200),
    ("other integer", '{"statusCode": 404}', 404),
    ("unquoted key", "{statusCode: 200}", 200),
    ("from the request", '{"statusCode": #if($input.params("fail") == "1")404#{else}200#end}', 200),
    ("not an integer", '{"statusCode": "abc"}', 500),
    ("not JSON", "nothing", 500),
    ("no status", "{}", 500),
]


@pytest.mark.parametrize("template, status", [case[1:] for case in MOCKS], ids=[case[0] for case in MOCKS])
def test_mock_selects_by_its_request_template(region, client, make_api, everywhere, template, status):
    api = make_api()
    api.mock("/m", template={"application/json": template}, body={"was": 200})
    at = api.at("/m", "GET")
    client.put_method_response(**at, statusCode="404")
    client.put_integration_response(
        **at, statusCode="404", selectionPattern="404", responseTemplates={"application/json": '{"was": 404}'}
    )
    api.deploy()
    expect = {"was": status} if status != 500 else {"message": "Internal server error"}
    everywhere(api.id, "dev", "/m", status=status, expect=expect)


def test_a_response_template_can_override_status_and_headers(region, make_api, everywhere):
    api = make_api()
    body = '#set($context.responseOverride.status = 418)#set($context.responseOverride.header.X-Tea = "pot"){}'
    api.mock("/m", body=body).deploy()
    answers = everywhere(api.id, "dev", "/m", status=418, expect={})
    assert {answer.header("x-tea") for answer in answers} == {"pot"}


def test_passthrough_never_is_415(region, make_api, upstream, everywhere):
    api = make_api()
    templates = {"requestTemplates": {"application/json": "{}"}}
    api.http("/never", f"{upstream.url}/x", "POST", passthroughBehavior="NEVER", **templates)
    api.http("/no-templates", f"{upstream.url}/x", "POST", passthroughBehavior="WHEN_NO_TEMPLATES", **templates)
    api.http("/no-match", f"{upstream.url}/x", "POST", passthroughBehavior="WHEN_NO_MATCH", **templates)
    api.deploy()
    everywhere(api.id, "dev", "/no-match", method="POST", body="{}")
    for path in ("/never", "/no-templates"):
        answer = region.call(api.id, "dev", path, "POST", {"Content-Type": "text/plain"}, "raw")
        assert (answer.status, answer.json) == (415, {"message": "Unsupported Media Type"}), path
        assert answer.header("x-amzn-ErrorType") == "BadRequestException"
    upstream.forget()
    assert region.call(api.id, "dev", "/no-match", "POST", {"Content-Type": "text/plain"}, "raw").status == 200
    assert upstream.only().body == b"raw"


def test_stage_variables_choose_the_upstream(region, make_api, upstream, everywhere):
    api = make_api()
    api.proxy("/v", "http://${stageVariables.host}/${stageVariables.path}", "GET")
    api.deploy("blue", variables={"host": upstream.address, "path": "blue"})
    api.deploy("green", variables={"host": upstream.address, "path": "green"})
    everywhere(api.id, "green", "/v")
    assert region.call(api.id, "blue", "/v").json["target"] == "/blue"
    assert region.call(api.id, "green", "/v").json["target"] == "/green"


def test_a_template_that_does_not_parse_is_refused_before_it_is_stored(client, make_api):
    api = make_api()
    api.mock("/m", body="#if($x) never closed")
    try:
        api.deploy()
    except client.exceptions.BadRequestException as error:
        assert "/m" in str(error) and "GET" in str(error), f"the message must name the method: {error}"
        return
    pytest.fail("a deployment with a template that does not parse was accepted")
