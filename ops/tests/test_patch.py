"""PATCH: every documented path of every entity in scope, its effect, and AWS's texts for wrong ones."""

import pytest

from support.apis import patch, refused, without_metadata


REST_API = [
    ([("replace", "/name", "other")], {"name": "other"}),
    ([("replace", "/description", "text")], {"description": "text"}),
    ([("replace", "/version", "9")], {"version": "9"}),
    ([("replace", "/apiKeySource", "AUTHORIZER")], {"apiKeySource": "AUTHORIZER"}),
    ([("replace", "/disableExecuteApiEndpoint", "true")], {"disableExecuteApiEndpoint": True}),
    ([("add", "/binaryMediaTypes/image~1png"), ("add", "/binaryMediaTypes/image~1gif")], {"binaryMediaTypes": ["image/png", "image/gif"]}),
    ([("add", "/binaryMediaTypes/a~1b"), ("remove", "/binaryMediaTypes/a~1b")], {"binaryMediaTypes": None}),
    ([("replace", "/endpointConfiguration/types/EDGE", "REGIONAL")], {"endpointConfiguration": ["REGIONAL"]}),
    ([("replace", "/endpointConfiguration/types/0", "REGIONAL")], {"endpointConfiguration": ["REGIONAL"]}),
]


@pytest.mark.parametrize("operations, expect", REST_API, ids=[case[0][0][1] for case in REST_API])
def test_rest_api(client, make_api, operations, expect):
    api = make_api()
    updated = without_metadata(client.update_rest_api(restApiId=api.id, patchOperations=patch(*operations)))
    for field, value in expect.items():
        found = updated.get(field)
        found = found["types"] if field == "endpointConfiguration" else found
        assert (found or None) == value, updated
    assert updated.pop("tags") == {}, "AWS prints tags after an update even when there are none"
    assert without_metadata(client.get_rest_api(restApiId=api.id)) == updated


METHOD = [
    ([("replace", "/apiKeyRequired", "true")], {"apiKeyRequired": True}),
    ([("replace", "/operationName", "Op")], {"operationName": "Op"}),
    ([("add", "/requestParameters/method.request.header.x", "true")], {"requestParameters": {"method.request.header.x": True}}),
    ([("add", "/requestModels/application~1json", "Empty")], {"requestModels": {"application/json": "Empty"}}),
    (
        [("add", "/requestModels/application~1json", "Empty"), ("replace", "/requestModels/application~1json", "Error")],
        {"requestModels": {"application/json": "Error"}},
    ),
    ([("replace", "/authorizationType", "NONE")], {"authorizationType": "NONE"}),
]


@pytest.mark.parametrize("operations, expect", METHOD, ids=[case[0][-1][1] for case in METHOD])
def test_method(client, make_api, operations, expect):
    api = make_api().method("/m")
    updated = client.update_method(**api.at("/m", "GET"), patchOperations=patch(*operations))
    assert {name: updated[name] for name in expect} == expect
    found = client.get_method(**api.at("/m", "GET"))
    assert {name: found[name] for name in expect} == expect


INTEGRATION = [
    ([("replace", "/uri", "http://127.0.0.1:9/other")], {"uri": "http://127.0.0.1:9/other"}),
    ([("replace", "/httpMethod", "POST")], {"httpMethod": "POST"}),
    ([("replace", "/timeoutInMillis", "1234")], {"timeoutInMillis": 1234}),
    ([("replace", "/passthroughBehavior", "NEVER")], {"passthroughBehavior": "NEVER"}),
    ([("replace", "/cacheNamespace", "ns")], {"cacheNamespace": "ns"}),
    ([("add", "/requestTemplates/application~1json", "{}")], {"requestTemplates": {"application/json": "{}"}}),
    (
        [("add", "/requestParameters/integration.request.header.x", "'static'")],
        {"requestParameters": {"integration.request.header.x": "'static'"}},
    ),
    ([("replace", "/tlsConfig/insecureSkipVerification", "true")], {"tlsConfig": {"insecureSkipVerification": True}}),
]


@pytest.mark.parametrize("operations, expect", INTEGRATION, ids=[case[0][0][1] for case in INTEGRATION])
def test_integration(client, make_api, operations, expect):
    api = make_api().proxy("/m", "http://127.0.0.1:9/x", "GET")
    updated = client.update_integration(**api.at("/m", "GET"), patchOperations=patch(*operations))
    assert {name: updated[name] for name in expect} == expect
    found = client.get_integration(**api.at("/m", "GET"))
    assert {name: found[name] for name in expect} == expect


def test_removing_map_entries(client, make_api):
    api = make_api().proxy("/m", "http://127.0.0.1:9/x", "GET")
    at = api.at("/m", "GET")
    add = patch(("add", "/requestTemplates/application~1json", "{}"), ("add", "/requestTemplates/text~1plain", "t"))
    assert set(client.update_integration(**at, patchOperations=add)["requestTemplates"]) == {"application/json", "text/plain"}
    left = client.update_integration(**at, patchOperations=patch(("remove", "/requestTemplates/application~1json")))
    assert left["requestTemplates"] == {"text/plain": "t"}


def test_method_and_integration_response(client, make_api):
    api = make_api().mock("/m")
    at = api.at("/m", "GET") | {"statusCode": "200"}
    header = "method.response.header.x-a"
    method = client.update_method_response(
        **at, patchOperations=patch(("add", f"/responseParameters/{header}", "false"), ("add", "/responseModels/application~1json", "Empty"))
    )
    assert method["responseParameters"] == {header: False} and method["responseModels"] == {"application/json": "Empty"}
    operations = patch(
        ("add", f"/responseParameters/{header}", "'1'"), ("replace", "/selectionPattern", "2\\d{2}"),
        ("add", "/responseTemplates/text~1plain", "t"),
    )
    reply = client.update_integration_response(**at, patchOperations=operations)
    assert (reply["responseParameters"], reply["selectionPattern"]) == ({header: "'1'"}, "2\\d{2}")
    assert reply["responseTemplates"]["text/plain"] == "t"


def test_resource_moves_and_its_subtree_follows(client, make_api):
    api = make_api()
    api.resource("/a/b/c")
    api.resource("/z")
    moved = client.update_resource(
        **api.at("/a/b"), patchOperations=patch(("replace", "/parentId", api.paths["/z"]), ("replace", "/pathPart", "y"))
    )
    assert (moved["path"], moved["parentId"]) == ("/z/y", api.paths["/z"])
    assert client.get_resource(restApiId=api.id, resourceId=api.paths["/a/b/c"])["path"] == "/z/y/c"


def test_stage(client, make_api):
    api = make_api().mock("/m")
    first = api.deploy()
    second = client.create_deployment(restApiId=api.id)["id"]
    at = {"restApiId": api.id, "stageName": "dev"}
    operations = patch(
        ("replace", "/deploymentId", second), ("replace", "/description", "d"), ("replace", "/variables/a", "1"), ("add", "/variables/b", "2")
    )
    updated = client.update_stage(**at, patchOperations=operations)
    assert (updated["deploymentId"], updated["description"], updated["variables"]) == (second, "d", {"a": "1", "b": "2"})
    left = client.update_stage(**at, patchOperations=patch(("remove", "/variables/a"), ("replace", "/deploymentId", first)))
    assert (left["variables"], left["deploymentId"]) == ({"b": "2"}, first)


def test_deployment_and_model(client, make_api):
    api = make_api().mock("/m")
    deployment = {"restApiId": api.id, "deploymentId": api.deploy()}
    assert client.update_deployment(**deployment, patchOperations=patch(("replace", "/description", "d")))["description"] == "d"
    model = {"restApiId": api.id, "modelName": "Error"}
    schema = '{"type": "string"}'
    updated = client.update_model(**model, patchOperations=patch(("replace", "/schema", schema), ("replace", "/description", "d")))
    assert (updated["schema"], updated["description"]) == (schema, "d")


def test_a_patch_is_all_or_nothing(client, make_api):
    api = make_api("before")
    operations = patch(("replace", "/name", "after"), ("replace", "/nothing", "x"))
    assert refused(client.update_rest_api, restApiId=api.id, patchOperations=operations)[1] == 400
    assert client.get_rest_api(restApiId=api.id)["name"] == "before"


# Recorded texts: three different ones for a wrong path, depending on the entity.
WRONG = [
    ("update_rest_api", {}, ("replace", "/nope", "x"), "Invalid patch path /nope"),
    ("update_method", {"path": "/m", "verb": "GET"}, ("replace", "/nope", "x"), "Invalid patch path /nope"),
    ("update_integration", {"path": "/m", "verb": "GET"}, ("replace", "/nope", "x"), "Invalid patch path /nope"),
    (
        "update_resource", {"path": "/m"}, ("replace", "/nope", "x"),
        "Invalid patch path  '/nope' specified for op 'replace'. Must be one of: [/parentId, /pathPart]",
    ),
    (
        "update_resource", {"path": "/m"}, ("add", "/nope", "x"),
        "Invalid patch path  '/nope' specified for op 'add'. Please choose supported operations",
    ),
    ("update_stage", {"stageName": "dev"}, ("replace", "/nope", "x"), "Invalid method setting path: /nope. Must be one of: [/deploymentId, /description"),
    ("update_resource", {"path": "/"}, ("replace", "/pathPart", "x"), "Root resource cannot update its pathPart."),
    ("update_resource", {"path": "/m"}, ("replace", "/parentId", "self"), "Resources cannot be cyclical."),
    ("update_rest_api", {}, ("add", "/binaryMediaTypes", "a/b"), None),
    ("update_integration", {"path": "/m", "verb": "GET"}, ("replace", "/timeoutInMillis", "49"), "Timeout should be between 50 ms and 29000 ms"),
    ("update_integration", {"path": "/m", "verb": "GET"}, ("replace", "/timeoutInMillis", "29001"), "Timeout should be between 50 ms and 29000 ms"),
    ("update_stage", {"stageName": "dev"}, ("copy", "/deploymentId", None, "/canarySettings/deploymentId"), "Promotion not available. Canary does not exist."),
]


@pytest.mark.parametrize("operation, place, change, message", WRONG, ids=[f"{case[0]}-{case[2][0]}-{case[2][1]}" for case in WRONG])
def test_wrong_patches(client, make_api, operation, place, change, message):
    api = make_api().mock("/m")
    api.deploy()
    place = dict(place)
    at = api.at(place.pop("path"), place.pop("verb", None)) if "path" in place else {"restApiId": api.id}
    op, path, value, *source = change
    value = at["resourceId"] if value == "self" else value
    arguments = at | place | {"patchOperations": patch((op, path, value, *source))}
    code, status, text = refused(getattr(client, operation), **arguments)
    assert (code, status) == ("BadRequestException", 400)
    assert message is None or text.startswith(message), text


def test_a_wrong_op_is_a_shape_error(client, make_api):
    operations = [{"op": "bogus", "path": "/name", "value": "x"}]
    code, status, text = refused(client.update_rest_api, restApiId=make_api().id, patchOperations=operations)
    assert (code, status) == ("ValidationException", 400)
    assert "1 validation error detected: Value 'bogus' at 'updateRestApiInput.patchOperations.1.member.op'" in text, text
    assert "Member must satisfy enum value set: " in text


def test_an_update_is_served_after_redeploy_on_every_node(client, make_api, upstream, everywhere):
    api = make_api().proxy("/m", f"{upstream.url}/one", "GET")
    api.deploy()
    assert everywhere(api.id, "dev", "/m")[0].json["target"] == "/one"
    client.update_integration(**api.at("/m", "GET"), patchOperations=patch(("replace", "/uri", f"{upstream.url}/two")))
    api.deploy()
    everywhere(api.id, "dev", "/m")
    assert {answer.json["target"] for answer in everywhere(api.id, "dev", "/m")} == {"/two"}


def test_stage_variables_change_without_a_deployment(client, make_api, everywhere):
    api = make_api().mock("/m", body='{"v": "$stageVariables.v"}')
    api.deploy(variables={"v": "1"})
    everywhere(api.id, "dev", "/m", expect={"v": "1"})
    client.update_stage(restApiId=api.id, stageName="dev", patchOperations=patch(("replace", "/variables/v", "2")))
    everywhere(api.id, "dev", "/m", expect={"v": "2"})


def test_a_disabled_generated_host_is_forbidden(region, client, make_api, everywhere):
    api = make_api().mock("/m")
    client.update_rest_api(restApiId=api.id, patchOperations=patch(("replace", "/disableExecuteApiEndpoint", "true")))
    api.deploy()
    everywhere(api.id, "dev", "/m", style="aws")
    answer = region.call(api.id, "dev", "/m")
    assert (answer.status, answer.json) == (403, {"message": "Forbidden"})
