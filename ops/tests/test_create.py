"""An API by hand with boto3: every step answers as AWS does, and the result is served on every node."""

import time

import pytest
from botocore.exceptions import ClientError

from support.apis import Api, without_metadata

PLACES = ["host", "aws", "restapis"]


def test_ready_fast(region, measured):
    measured(f"dev ready: {region.ready_seconds:.2f} s (gate: 3 s)")
    assert region.ready_seconds < 3


def test_rest_api_as_created(client, make_api):
    api = make_api("by-hand", description="made by hand", version="v7", tags={"team": "pets"})
    created = without_metadata(api.created)
    assert api.created["ResponseMetadata"]["HTTPStatusCode"] == 201
    assert len(created["id"]) == 10 and created["id"].isalnum() and created["id"] == created["id"].lower()
    assert abs(created["createdDate"].timestamp() - time.time()) < 60
    expected = {
        "name": "by-hand", "description": "made by hand", "version": "v7", "tags": {"team": "pets"}, "apiKeySource": "HEADER",
        "disableExecuteApiEndpoint": False,
    }
    assert {name: created[name] for name in expected} == expected
    assert created["endpointConfiguration"]["types"] == ["EDGE"]
    assert created["rootResourceId"] == api.paths["/"]
    assert without_metadata(client.get_rest_api(restApiId=api.id)) == created
    assert created in client.get_rest_apis(limit=500)["items"]


def test_endpoint_types(client, make_api):
    regional = make_api(endpointConfiguration={"types": ["REGIONAL"]})
    assert regional.created["endpointConfiguration"]["types"] == ["REGIONAL"]


def test_resources(client, make_api):
    api = make_api()
    made = client.create_resource(restApiId=api.id, parentId=api.paths["/"], pathPart="pets")
    assert made["ResponseMetadata"]["HTTPStatusCode"] == 201
    pets = without_metadata(made)
    assert pets == {"id": made["id"], "parentId": api.paths["/"], "pathPart": "pets", "path": "/pets"}
    child = client.create_resource(restApiId=api.id, parentId=pets["id"], pathPart="{id}")
    assert child["path"] == "/pets/{id}"
    api.paths |= {"/pets": pets["id"], "/pets/{id}": child["id"]}
    api.mock("/pets/{id}", "GET")
    listed = {item["path"]: item for item in client.get_resources(restApiId=api.id)["items"]}
    assert set(listed) == {"/", "/pets", "/pets/{id}"}
    assert listed["/pets/{id}"]["resourceMethods"] == {"GET": {}} and "resourceMethods" not in listed["/pets"]
    embedded = {item["path"]: item for item in client.get_resources(restApiId=api.id, embed=["methods"])["items"]}
    method = embedded["/pets/{id}"]["resourceMethods"]["GET"]
    assert method["methodIntegration"]["type"] == "MOCK" and method["authorizationType"] == "NONE"
    gone = client.delete_resource(restApiId=api.id, resourceId=pets["id"])
    assert gone["ResponseMetadata"]["HTTPStatusCode"] == 202
    assert [item["path"] for item in client.get_resources(restApiId=api.id)["items"]] == ["/"]


def test_method_integration_and_their_responses(client, make_api):
    api = make_api()
    at = api.at("/pets", "GET")
    put = client.put_method(
        **at, authorizationType="NONE", operationName="ListPets", requestParameters={"method.request.querystring.page": False}
    )
    assert put["ResponseMetadata"]["HTTPStatusCode"] == 201
    assert without_metadata(put) == {
        "httpMethod": "GET", "authorizationType": "NONE", "apiKeyRequired": False, "operationName": "ListPets",
        "requestParameters": {"method.request.querystring.page": False},
    }
    response = client.put_method_response(**at, statusCode="200", responseModels={"application/json": "Empty"})
    assert without_metadata(response) == {"statusCode": "200", "responseModels": {"application/json": "Empty"}}
    integration = client.put_integration(**at, type="HTTP_PROXY", integrationHttpMethod="GET", uri="http://127.0.0.1:9/x")
    assert without_metadata(integration) == {
        "type": "HTTP_PROXY", "httpMethod": "GET", "uri": "http://127.0.0.1:9/x", "connectionType": "INTERNET",
        "passthroughBehavior": "WHEN_NO_MATCH", "timeoutInMillis": 29000, "cacheNamespace": api.paths["/pets"],
        "cacheKeyParameters": [],
    }
    reply = client.put_integration_response(**at, statusCode="200", responseTemplates={"application/json": ""})
    assert reply["ResponseMetadata"]["HTTPStatusCode"] == 201 and reply["statusCode"] == "200"
    whole = client.get_method(**at)
    assert whole["methodResponses"]["200"]["statusCode"] == "200"
    assert whole["methodIntegration"]["integrationResponses"]["200"]["statusCode"] == "200"
    codes = [
        client.delete_integration_response(**at, statusCode="200"), client.delete_integration(**at),
        client.delete_method_response(**at, statusCode="200"), client.delete_method(**at),
    ]
    assert [code["ResponseMetadata"]["HTTPStatusCode"] for code in codes] == [204] * 4
    with pytest.raises(client.exceptions.NotFoundException):
        client.get_method(**at)


def test_mock_integration_defaults(client, make_api):
    api = make_api()
    api.method("/m")
    made = without_metadata(client.put_integration(**api.at("/m", "GET"), type="MOCK"))
    assert made == {
        "type": "MOCK", "passthroughBehavior": "WHEN_NO_MATCH", "timeoutInMillis": 29000, "cacheNamespace": api.paths["/m"],
        "cacheKeyParameters": [],
    }


def test_models(client, make_api):
    api = make_api()
    assert sorted(model["name"] for model in client.get_models(restApiId=api.id)["items"]) == ["Empty", "Error"]
    schema = '{"type": "object", "properties": {"name": {"type": "string"}}}'
    made = client.create_model(restApiId=api.id, name="Pet", contentType="application/json", schema=schema, description="a pet")
    assert (made["name"], made["schema"], made["contentType"], made["description"]) == ("Pet", schema, "application/json", "a pet")
    assert client.get_model(restApiId=api.id, modelName="Pet")["id"] == made["id"]
    assert client.delete_model(restApiId=api.id, modelName="Pet")["ResponseMetadata"]["HTTPStatusCode"] == 202
    with pytest.raises(client.exceptions.NotFoundException):
        client.get_model(restApiId=api.id, modelName="Pet")


def test_deployment_and_stage(client, make_api):
    api = make_api()
    api.mock("/a")
    made = client.create_deployment(restApiId=api.id, description="first")
    assert made["ResponseMetadata"]["HTTPStatusCode"] == 201 and made["description"] == "first"
    stage = without_metadata(client.create_stage(restApiId=api.id, stageName="dev", deploymentId=made["id"], variables={"a": "1"}))
    expected = {
        "deploymentId": made["id"], "stageName": "dev", "cacheClusterEnabled": False, "cacheClusterStatus": "NOT_AVAILABLE",
        "methodSettings": {}, "tracingEnabled": False, "variables": {"a": "1"},
    }
    assert {name: stage[name] for name in expected} == expected
    assert without_metadata(client.get_stage(restApiId=api.id, stageName="dev")) == stage
    second = client.create_deployment(restApiId=api.id, stageName="dev", stageDescription="moved")
    moved = client.get_stage(restApiId=api.id, stageName="dev")
    assert moved["deploymentId"] == second["id"] and moved["variables"] == {"a": "1"}
    ids = [item["id"] for item in client.get_deployments(restApiId=api.id)["items"]]
    assert sorted(ids) == sorted([made["id"], second["id"]])
    of_second = client.get_stages(restApiId=api.id, deploymentId=second["id"])["item"]
    assert [item["stageName"] for item in of_second] == ["dev"]
    assert client.get_stages(restApiId=api.id, deploymentId=made["id"])["item"] == []
    summary = client.get_deployment(restApiId=api.id, deploymentId=second["id"], embed=["apisummary"])["apiSummary"]
    assert summary == {"/a": {"GET": {"authorizationType": "NONE", "apiKeyRequired": False}}}
    assert client.delete_deployment(restApiId=api.id, deploymentId=made["id"])["ResponseMetadata"]["HTTPStatusCode"] == 202
    assert client.delete_stage(restApiId=api.id, stageName="dev")["ResponseMetadata"]["HTTPStatusCode"] == 202
    assert client.get_stages(restApiId=api.id)["item"] == []


@pytest.fixture(scope="module")
def three_kinds(client, upstream_server):
    """One API with a MOCK, an HTTP and an HTTP_PROXY method."""
    api = Api(client, "three kinds")
    api.mock("/mock", body={"from": "mock"})
    api.http("/http", f"{upstream_server.url}/echo")
    api.proxy("/proxy/{rest+}", f"{upstream_server.url}/{{rest}}", method={"requestParameters": {"method.request.path.rest": True}},
              requestParameters={"integration.request.path.rest": "method.request.path.rest"})
    api.deploy()
    yield api
    api.delete()


@pytest.mark.parametrize("style", PLACES)
def test_mock_answers_on_every_node(region, everywhere, three_kinds, style):
    answers = everywhere(three_kinds.id, "dev", "/mock", expect={"from": "mock"}, style=style)
    assert [answer.header("content-type") for answer in answers] == ["application/json"] * 3
    assert region.call(three_kinds.id, "dev", "/mock", style=style).json == {"from": "mock"}


@pytest.mark.parametrize("style", PLACES)
def test_http_reaches_the_upstream(region, everywhere, three_kinds, upstream, style):
    everywhere(three_kinds.id, "dev", "/http", style=style)
    answer = region.call(three_kinds.id, "dev", "/http", style=style).json
    assert (answer["method"], answer["target"]) == ("GET", "/echo")
    assert answer["headers"]["host"] == [upstream.address]


@pytest.mark.parametrize("style", PLACES)
@pytest.mark.parametrize("verb", ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_http_proxy_passes_all_verbs(region, everywhere, three_kinds, upstream, style, verb):
    everywhere(three_kinds.id, "dev", "/proxy/x", style=style)
    body = '{"a": 1}' if verb in ("POST", "PUT", "PATCH") else None
    headers = {"Content-Type": "application/json", "X-Mine": "yes"}
    answer = region.call(three_kinds.id, "dev", "/proxy/a/b?q=1&q=2", verb, headers, body, style=style)
    assert answer.status == 200
    assert (answer.json["method"], answer.json["target"]) == (verb, "/a/b?q=1&q=2")
    assert answer.json["headers"]["x-mine"] == ["yes"] and answer.json["body"] == (body or "")


@pytest.mark.parametrize("status", [201, 204, 304, 400, 404, 418, 500, 503])
def test_status_passes_through_the_proxy_and_not_through_http(region, client, make_api, upstream, everywhere, status):
    api = make_api()
    api.proxy("/proxy", f"{upstream.url}/status/{status}").http("/http", f"{upstream.url}/status/{status}")
    api.deploy()
    everywhere(api.id, "dev", "/http")
    assert region.call(api.id, "dev", "/proxy").status == status
    assert region.call(api.id, "dev", "/http").status == 200


def test_head_passes_without_a_body(region, three_kinds, upstream, everywhere):
    everywhere(three_kinds.id, "dev", "/proxy/x")
    answer = region.call(three_kinds.id, "dev", "/proxy/large/1000", "HEAD")
    assert (answer.status, answer.body) == (200, b"")


def test_deleted_api_is_gone_on_every_node(region, client, everywhere):
    api = Api(client)
    api.mock("/a").deploy()
    everywhere(api.id, "dev", "/a")
    gone = client.delete_rest_api(restApiId=api.id)
    assert gone["ResponseMetadata"]["HTTPStatusCode"] == 202
    everywhere(api.id, "dev", "/a", status=403, expect={"message": "Forbidden"})
    with pytest.raises(ClientError) as error:
        client.get_rest_api(restApiId=api.id)
    assert error.value.response["Error"]["Code"] == "NotFoundException"


def test_deleted_stage_is_gone_and_its_sibling_is_not(region, client, make_api, everywhere):
    api = make_api()
    api.mock("/a", body={"v": 1})
    api.deploy("one")
    api.deploy("two")
    everywhere(api.id, "two", "/a", expect={"v": 1})
    client.delete_stage(restApiId=api.id, stageName="one")
    everywhere(api.id, "one", "/a", status=403)
    assert region.call(api.id, "two", "/a").json == {"v": 1}


def test_a_stage_keeps_what_it_deployed(region, client, make_api, everywhere):
    api = make_api()
    api.mock("/a", body={"v": 1})
    first = api.deploy()
    everywhere(api.id, "dev", "/a", expect={"v": 1})
    client.put_integration_response(**api.at("/a", "GET"), statusCode="200", responseTemplates={"application/json": '{"v": 2}'})
    assert [region.call(api.id, "dev", "/a", node=node).json for node in region.nodes] == [{"v": 1}] * 3
    api.deploy()
    everywhere(api.id, "dev", "/a", expect={"v": 2})
    client.update_stage(restApiId=api.id, stageName="dev", patchOperations=[{"op": "replace", "path": "/deploymentId", "value": first}])
    everywhere(api.id, "dev", "/a", expect={"v": 1})


def test_account(client):
    account = without_metadata(client.get_account())
    assert account["throttleSettings"] == {"burstLimit": 5000, "rateLimit": 10000.0}


def test_caller_identity(region):
    identity = region.client("sts").get_caller_identity()
    assert identity["Account"] == "000000000000"
    assert identity["Arn"] == "arn:aws:iam::000000000000:root"
    assert identity["UserId"] == "000000000000"
