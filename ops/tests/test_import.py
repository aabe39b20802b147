"""OpenAPI in and out: import, deploy, call, export, and the same API again from the export."""

import json
import time

import pytest
import yaml
from botocore.exceptions import ClientError

import documents
from support import raw

FORMS = {
    "oas30-json": (documents.openapi3, documents.as_json),
    "oas30-yaml": (documents.openapi3, documents.as_yaml),
    "swagger-json": (documents.swagger2, documents.as_json),
    "swagger-yaml": (documents.swagger2, documents.as_yaml),
}


@pytest.fixture
def imported(client):
    """Imports documents; what was made goes when the test is over."""
    made = []

    def run(body, **arguments):
        answer = client.import_rest_api(body=body, **arguments)
        made.append(answer["id"])
        return answer

    yield run
    for api in made:
        client.delete_rest_api(restApiId=api)


def shape(client, api):
    """Everything a re-import must reproduce: resources with methods, integrations and responses, without ids."""
    resources = client.get_resources(restApiId=api, embed=["methods"], limit=500)["items"]
    found = {}
    for resource in resources:
        for verb, method in resource.get("resourceMethods", {}).items():
            method = json.loads(json.dumps(method))
            method.get("methodIntegration", {}).pop("cacheNamespace", None)
            found[f"{verb} {resource['path']}"] = method
    return {resource["path"] for resource in resources}, found


@pytest.mark.parametrize("form", FORMS)
def test_import_deploy_call(client, imported, upstream, everywhere, region, form):
    make, encode = FORMS[form]
    answer = imported(encode(make(upstream.url)))
    assert (answer["name"], answer["version"], answer["description"]) == ("imported", "2026-01", "for tests")
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 201 and "warnings" not in answer
    paths, methods = shape(client, answer["id"])
    assert paths == {"/", "/mock", "/mapped", "/pets", "/pets/{id}", "/files", "/files/{proxy+}"}
    assert set(methods) == {"GET /mock", "GET /mapped", "GET /pets/{id}", "POST /pets/{id}", "ANY /files/{proxy+}"}
    assert methods["GET /mapped"]["requestParameters"] == {"method.request.querystring.page": False}
    assert methods["GET /pets/{id}"]["requestParameters"] == {"method.request.path.id": True}
    assert methods["POST /pets/{id}"]["requestModels"] == {"application/json": "Pet"}
    assert methods["GET /mock"]["operationName"] == "Mock"
    assert methods["GET /mock"]["methodResponses"]["200"]["responseModels"] == {"application/json": "Pet"}
    integration = methods["GET /mapped"]["methodIntegration"]
    assert (integration["type"], integration["timeoutInMillis"]) == ("HTTP", 5000)
    assert integration["integrationResponses"]["404"]["selectionPattern"] == "4\\d{2}"
    client.create_deployment(restApiId=answer["id"], stageName="dev")
    answers = everywhere(answer["id"], "dev", "/mock", expect={"from": "mock"})
    assert {reply.header("x-static") for reply in answers} == {"fixed"}
    assert region.call(answer["id"], "dev", "/mapped?page=3").json["target"] == "/mapped?p=3"
    assert region.call(answer["id"], "dev", "/pets/7", "POST", body="{}").json["target"] == "/pets/7"
    assert region.call(answer["id"], "dev", "/files/a/b", "DELETE").json["target"] == "/files/a/b"


@pytest.mark.parametrize("accept", ["application/json", "application/yaml"])
@pytest.mark.parametrize("kind", ["oas30", "swagger"])
@pytest.mark.parametrize("extensions", ["apigateway", "integrations"])
def test_export_and_import_again(client, imported, upstream, kind, accept, extensions):
    first = imported(documents.as_json(documents.openapi3(upstream.url)))["id"]
    client.create_deployment(restApiId=first, stageName="dev")
    export = client.get_export(restApiId=first, stageName="dev", exportType=kind, parameters={"extensions": extensions}, accepts=accept)
    assert export["contentType"].split(";")[0] == accept
    body = export["body"].read()
    document = json.loads(body) if accept.endswith("json") else yaml.safe_load(body)
    assert document["swagger" if kind == "swagger" else "openapi"] == ("2.0" if kind == "swagger" else "3.0.1")
    assert document["info"]["title"] == "imported" and str(document["info"]["version"]) == "2026-01"
    second = imported(body)
    assert "warnings" not in second, second["warnings"]
    assert shape(client, second["id"]) == shape(client, first)


def test_export_without_extensions_has_none(client, imported, upstream):
    api = imported(documents.as_json(documents.openapi3(upstream.url)))["id"]
    client.create_deployment(restApiId=api, stageName="dev")
    body = client.get_export(restApiId=api, stageName="dev", exportType="oas30")["body"].read()
    assert b"x-amazon-apigateway-integration" not in body and b"x-amazon-apigateway-policy" not in body
    document = json.loads(body)
    assert set(document["paths"]) >= {"/mock", "/mapped", "/pets/{id}"}
    assert "Pet" in document["components"]["schemas"]


def test_an_api_made_by_hand_survives_the_round_trip(client, make_api, imported, upstream):
    api = make_api()
    api.mock("/m", parameters={"method.response.header.X-A": "'1'"})
    api.http("/h/{id}", f"{upstream.url}/h", responses={"200": {}, "404": {"selectionPattern": "404"}},
             method={"requestParameters": {"method.request.path.id": True, "method.request.header.X-B": False}},
             requestParameters={"integration.request.header.X-B": "method.request.header.X-B"}, timeoutInMillis=777)
    api.proxy("/p", f"{upstream.url}/p")
    api.deploy()
    for kind in ("oas30", "swagger"):
        body = client.get_export(restApiId=api.id, stageName="dev", exportType=kind, parameters={"extensions": "apigateway"})["body"].read()
        assert shape(client, imported(body)["id"]) == shape(client, api.id), kind


def test_export_shows_what_is_deployed_not_the_draft(client, make_api):
    api = make_api().mock("/deployed")
    api.deploy()
    api.mock("/draft")
    paths = json.loads(client.get_export(restApiId=api.id, stageName="dev", exportType="oas30")["body"].read())["paths"]
    assert "/deployed" in paths and "/draft" not in paths


def small(*paths, **info):
    operation = {"responses": {"200": {"description": "ok"}}, "x-amazon-apigateway-integration": documents.MOCK}
    return {"openapi": "3.0.1", "info": {"title": "small", "version": "1"} | info, "paths": {path: {"get": operation} for path in paths}}


def test_put_overwrite_replaces_and_merge_adds(client, imported):
    api = imported(documents.as_json(small("/a", "/b")))["id"]
    kept = {item["path"]: item["id"] for item in client.get_resources(restApiId=api)["items"]}
    merged = client.put_rest_api(restApiId=api, mode="merge", body=documents.as_json(small("/c", title="merged")))
    assert merged["ResponseMetadata"]["HTTPStatusCode"] == 200
    found = {item["path"]: item["id"] for item in client.get_resources(restApiId=api)["items"]}
    assert set(found) == {"/", "/a", "/b", "/c"} and {path: found[path] for path in kept} == kept
    replaced = client.put_rest_api(restApiId=api, mode="overwrite", body=documents.as_json(small("/c", title="replaced")))
    assert replaced["name"] == "replaced"
    assert shape(client, api)[0] == {"/", "/c"}


def test_put_is_all_or_nothing(client, imported):
    api = imported(documents.as_json(small("/a")))["id"]
    before = shape(client, api)
    broken = small("/b")
    broken["paths"]["/b"]["get"]["x-amazon-apigateway-integration"] = {"type": "http", "httpMethod": "GET", "uri": "nonsense"}
    with pytest.raises(ClientError) as error:
        client.put_rest_api(restApiId=api, mode="overwrite", body=documents.as_json(broken))
    assert error.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400
    assert "/b" in error.value.response["Error"]["Message"], error.value
    assert shape(client, api) == before


def with_unsupported():
    document = small("/a")
    document["x-amazon-apigateway-request-validators"] = {"all": {"validateRequestBody": True, "validateRequestParameters": True}}
    document["x-amazon-apigateway-request-validator"] = "all"
    return document


def test_what_an_import_cannot_use_is_listed(client, imported):
    answer = imported(documents.as_json(with_unsupported()))
    assert answer["warnings"], answer
    assert any("request-validator" in line for line in answer["warnings"]), answer["warnings"]


def test_fail_on_warnings_changes_nothing(client):
    before = {api["id"] for api in client.get_rest_apis(limit=500)["items"]}
    with pytest.raises(ClientError) as error:
        client.import_rest_api(body=documents.as_json(with_unsupported()), failOnWarnings=True)
    assert error.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400
    assert "request-validator" in error.value.response["Error"]["Message"]
    assert {api["id"] for api in client.get_rest_apis(limit=500)["items"]} == before


@pytest.mark.parametrize("base_path, expect", [("ignore", "/a"), ("prepend", "/v1/x/a"), ("split", "/x/a")])
def test_base_paths(client, imported, base_path, expect):
    document = {"swagger": "2.0", "basePath": "/v1/x", "info": {"title": "based", "version": "1"}, "paths": small("/a")["paths"]}
    api = imported(documents.as_json(document), parameters={"basepath": base_path})["id"]
    assert expect in shape(client, api)[0]


def test_hostile_yaml_is_refused_quickly(client):
    bomb = "a: &a [x,x,x,x,x,x,x,x,x,x]\n" + "".join(f"{chr(98 + i)}: &{chr(98 + i)} [{','.join('*' + chr(97 + i) for _ in range(10))}]\n" for i in range(9))
    deep = "[" * 100_000
    for body in (bomb, deep, "!!python/object/apply:os.system [id]"):
        with pytest.raises(ClientError) as error:
            client.import_rest_api(body=body.encode())
        assert error.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400


def test_a_large_import(client, imported, region, everywhere, measured):
    """A thousand paths in one document, deployed and served."""
    body = documents.as_json(small(*[f"/r{number}/items/{{id}}" for number in range(1000)]))
    started = time.monotonic()
    api = imported(body)["id"]
    client.create_deployment(restApiId=api, stageName="dev")
    everywhere(api, "dev", "/r999/items/1", expect={"from": "mock"})
    measured(f"import, deploy and serve 1,000 paths ({len(body) // 1024} KiB): {time.monotonic() - started:.2f} s")
    items = client.get_resources(restApiId=api, limit=500)["items"]
    assert len(items) == 500


def test_the_sample_document_is_served(region):
    sample = region.dev["sample"]
    path = sample["url"].removeprefix(region.dev["gateway"])
    answer = raw.request(region.dev["gateway"], "GET", path)
    assert answer.status == 200 and answer.json[0]["name"] == "Rex"
    health = raw.request(region.dev["gateway"], "GET", path.replace("/pets", "/health"))
    assert health.status == 200 and health.json["status"] == "ok" and health.header("cache-control") == "no-store"
    missing = raw.request(region.dev["gateway"], "GET", path + "/99")
    assert missing.status == 404
