"""What the control plane refuses: code, status and text; texts recorded from AWS are compared whole."""

import re

import pytest
from botocore.exceptions import ClientError

from support.apis import Api

NOT_FOUND, BAD, CONFLICT = ("NotFoundException", 404), ("BadRequestException", 400), ("ConflictException", 409)
VALIDATION, LIMIT = ("ValidationException", 400), ("LimitExceededException", 429)
MISSING = "missing1234"


@pytest.fixture(scope="module")
def tree(client):
    """Resources /, /pets, /pets/{id}, /files/{proxy+}; /pets GET is complete and deployed as dev; POST has no integration."""
    api = Api(client, "errors")
    api.mock("/pets")
    api.resource("/pets/{id}")
    api.resource("/files/{proxy+}")
    api.deployment = api.deploy()
    api.method("/pets", "POST")
    yield api
    api.delete()


def refused(call, arguments):
    with pytest.raises(ClientError) as error:
        call(**arguments)
    response = error.value.response
    return (response["Error"]["Code"], response["ResponseMetadata"]["HTTPStatusCode"]), response["Error"]["Message"]


def api_at(tree, **more):
    return {"restApiId": tree.id} | more


# Operation, arguments of the tree, code and status, text (whole; a compiled pattern is searched).
CASES = [
    ("get_rest_api", lambda t: {"restApiId": MISSING}, NOT_FOUND, f"Invalid API identifier specified 000000000000:{MISSING}"),
    ("get_rest_api", lambda t: {"restApiId": t.id.upper() + "A"}, NOT_FOUND, re.compile("Invalid API identifier specified 000000000000:")),
    ("delete_rest_api", lambda t: {"restApiId": MISSING}, NOT_FOUND, f"Invalid API identifier specified 000000000000:{MISSING}"),
    ("update_rest_api", lambda t: {"restApiId": MISSING, "patchOperations": []}, NOT_FOUND, f"Invalid API identifier specified 000000000000:{MISSING}"),
    ("get_resources", lambda t: {"restApiId": MISSING}, NOT_FOUND, f"Invalid API identifier specified 000000000000:{MISSING}"),
    ("get_stages", lambda t: {"restApiId": MISSING}, NOT_FOUND, f"Invalid API identifier specified 000000000000:{MISSING}"),
    ("create_rest_api", lambda t: {"name": ""}, BAD, None),
    ("create_rest_api", lambda t: {"name": "x", "endpointConfiguration": {"types": ["WRONG"]}}, VALIDATION,
     re.compile(r"1 validation error detected: Value '\[?WRONG\]?' at 'createRestApiInput.endpointConfiguration.types' failed to satisfy constraint: ")),
    ("create_rest_api", lambda t: {"name": "x", "apiKeySource": "WRONG"}, None, re.compile("WRONG|apiKeySource")),
    ("create_resource", lambda t: api_at(t, parentId=t.paths["/"], pathPart="pets"), CONFLICT,
     "Another resource with the same parent already has this name: pets"),
    ("create_resource", lambda t: api_at(t, parentId=t.paths["/pets"], pathPart="{other}"), BAD,
     "A sibling ({id}) of this resource already has a variable path part -- only one is allowed"),
    ("create_resource", lambda t: api_at(t, parentId=t.paths["/files/{proxy+}"], pathPart="x"), BAD,
     "Cannot create a child of a resource with a greedy path variable: {proxy+}"),
    ("create_resource", lambda t: api_at(t, parentId=t.paths["/"], pathPart="a b"), BAD, re.compile("Resource's path part only allow")),
    ("create_resource", lambda t: api_at(t, parentId=t.paths["/"], pathPart="{x}y"), BAD, re.compile("Resource's path part only allow")),
    ("create_resource", lambda t: api_at(t, parentId=t.paths["/"], pathPart="a/b"), BAD, re.compile("Resource's path part only allow")),
    ("create_resource", lambda t: api_at(t, parentId=MISSING, pathPart="x"), NOT_FOUND, "Invalid Resource identifier specified"),
    ("create_resource", lambda t: {"restApiId": MISSING, "parentId": "x", "pathPart": "x"}, NOT_FOUND,
     f"Invalid API identifier specified 000000000000:{MISSING}"),
    ("get_resource", lambda t: api_at(t, resourceId=MISSING), NOT_FOUND, "Invalid Resource identifier specified"),
    ("delete_resource", lambda t: api_at(t, resourceId=MISSING), NOT_FOUND, "Invalid Resource identifier specified"),
    ("put_method", lambda t: t.at("/pets", "INVALID") | {"authorizationType": "NONE"}, BAD,
     "Invalid HttpMethod specified. Valid options are GET,PUT,POST,DELETE,PATCH,OPTIONS,HEAD,ANY"),
    ("put_method", lambda t: t.at("/pets", "GET") | {"authorizationType": "NONE"}, CONFLICT, "Method already exists for this resource"),
    ("put_method", lambda t: t.at("/pets", "PUT") | {"authorizationType": "NONE", "requestParameters": {"nonsense": True}}, BAD,
     re.compile("Invalid mapping expression specified: ")),
    ("put_method", lambda t: t.at("/pets", "PUT") | {"authorizationType": "NONE", "requestModels": {"application/json": "NoModel"}}, BAD,
     "Invalid model identifier specified: NoModel"),
    ("get_method", lambda t: t.at("/pets", "DELETE"), NOT_FOUND, "Invalid Method identifier specified"),
    ("delete_method", lambda t: t.at("/pets", "DELETE"), NOT_FOUND, "Invalid Method identifier specified"),
    ("get_integration", lambda t: t.at("/pets", "POST"), NOT_FOUND, "Invalid Integration identifier specified"),
    ("get_integration", lambda t: t.at("/pets", "DELETE"), NOT_FOUND, "Invalid Method identifier specified"),
    ("get_integration_response", lambda t: t.at("/pets", "GET") | {"statusCode": "404"}, NOT_FOUND, "Invalid Response status code specified"),
    ("get_method_response", lambda t: t.at("/pets", "GET") | {"statusCode": "404"}, NOT_FOUND, "Invalid Response status code specified"),
    ("put_method_response", lambda t: t.at("/pets", "GET") | {"statusCode": "200"}, CONFLICT, "Response already exists for this resource"),
    ("put_integration", lambda t: t.at("/pets", "DELETE") | {"type": "MOCK"}, NOT_FOUND, "Invalid Method identifier specified"),
    ("put_integration", lambda t: t.at("/pets", "POST") | {"type": "WRONG"}, VALIDATION,
     "1 validation error detected: Value 'WRONG' at 'putIntegrationInput.type' failed to satisfy constraint: "
     "Member must satisfy enum value set: [HTTP, MOCK, AWS_PROXY, HTTP_PROXY, AWS]"),
    ("put_integration", lambda t: t.at("/pets", "POST") | {"type": "HTTP", "uri": "http://a.b"}, BAD,
     "Enumeration value for HttpMethod must be non-empty"),
    ("put_integration", lambda t: t.at("/pets", "POST") | {"type": "HTTP", "integrationHttpMethod": "GET", "uri": "nonsense"}, BAD,
     "Invalid HTTP endpoint specified for URI"),
    ("put_integration", lambda t: t.at("/pets", "POST") | {"type": "HTTP_PROXY", "integrationHttpMethod": "GET", "uri": "ftp://a.b"}, BAD,
     "Invalid HTTP endpoint specified for URI"),
    ("put_integration", lambda t: t.at("/pets", "POST") | {"type": "MOCK", "requestParameters": {"integration.request.header.x": "true"}}, BAD,
     "Invalid mapping expression specified: Validation Result: warnings : [], errors : [Invalid mapping expression specified: true]"),
    ("put_integration", lambda t: t.at("/pets", "POST") | {"type": "MOCK", "timeoutInMillis": 49}, BAD, "Timeout should be between 50 ms and 29000 ms"),
    ("put_integration", lambda t: t.at("/pets", "POST") | {"type": "MOCK", "timeoutInMillis": 29001}, BAD, "Timeout should be between 50 ms and 29000 ms"),
    ("put_integration", lambda t: t.at("/pets", "POST") | {"type": "MOCK", "passthroughBehavior": "SOMETIMES"}, None, re.compile("SOMETIMES")),
    ("put_integration_response", lambda t: t.at("/pets", "POST") | {"statusCode": "200"}, NOT_FOUND, "Invalid Integration identifier specified"),
    ("put_integration_response", lambda t: t.at("/pets", "GET") | {"statusCode": "abc"}, None, re.compile("abc|tatus")),
    ("create_deployment", lambda t: {"restApiId": MISSING}, NOT_FOUND, None),
    ("create_deployment", lambda t: {"restApiId": t.id}, BAD, "No integration defined for method"),
    ("get_deployment", lambda t: api_at(t, deploymentId=MISSING), NOT_FOUND, "Invalid Deployment identifier specified"),
    ("delete_deployment", lambda t: api_at(t, deploymentId=t.deployment), BAD,
     "Active stages pointing to this deployment must be moved or deleted"),
    ("get_stage", lambda t: api_at(t, stageName="none"), NOT_FOUND, "Invalid Stage identifier specified"),
    ("delete_stage", lambda t: api_at(t, stageName="none"), NOT_FOUND, "Invalid Stage identifier specified"),
    ("update_stage", lambda t: api_at(t, stageName="none", patchOperations=[]), NOT_FOUND, "Invalid Stage identifier specified"),
    ("create_stage", lambda t: api_at(t, stageName="dev", deploymentId=t.deployment), CONFLICT, "Stage already exists"),
    ("create_stage", lambda t: api_at(t, stageName="x", deploymentId=MISSING), NOT_FOUND, "Invalid Deployment identifier specified"),
    ("create_stage", lambda t: api_at(t, stageName="a b", deploymentId=t.deployment), BAD, None),
    ("create_stage", lambda t: api_at(t, stageName="v", deploymentId=t.deployment, variables={"a": "semi;colon"}), BAD, re.compile("semi;colon|a|variable")),
    ("create_stage", lambda t: api_at(t, stageName="v", deploymentId=t.deployment, variables={f"v{i}": "1" for i in range(101)}), None, None),
    ("get_model", lambda t: api_at(t, modelName="None"), NOT_FOUND, "Invalid model name specified: None"),
    ("create_model", lambda t: api_at(t, name="Empty", contentType="application/json", schema="{}"), CONFLICT, None),
    ("create_model", lambda t: api_at(t, name="Bad", contentType="application/json", schema="not json"), BAD, None),
    ("tag_resource", lambda t: {"resourceArn": f"arn:aws:apigateway:local-1::/restapis/{MISSING}", "tags": {"a": "b"}}, NOT_FOUND, None),
    ("tag_resource", lambda t: {"resourceArn": "nonsense", "tags": {"a": "b"}}, None, None),
    ("import_rest_api", lambda t: {"body": b"neither JSON nor YAML: ["}, BAD, re.compile("Invalid OpenAPI input")),
    ("import_rest_api", lambda t: {"body": b'{"no": "version"}'}, BAD, re.compile("Invalid OpenAPI input")),
    ("put_rest_api", lambda t: {"restApiId": MISSING, "body": b'{"openapi":"3.0.1","info":{"title":"t","version":"1"},"paths":{}}'}, NOT_FOUND, None),
]


@pytest.mark.parametrize("number", range(len(CASES)), ids=[f"{case[0]}-{number}" for number, case in enumerate(CASES)])
def test_refusals(client, tree, number):
    operation, arguments, kind, expect = CASES[number]
    found, message = refused(getattr(client, operation), arguments(tree))
    assert kind is None or found == kind, (found, message)
    assert 400 <= found[1] < 500 and message
    if isinstance(expect, str):
        assert message == expect
    elif expect is not None:
        assert expect.search(message), message


# What AWS has and this version has not must be refused by name.
UNSUPPORTED = [
    ("put_integration", lambda t: t.at("/pets", "POST") | {"type": "AWS_PROXY", "integrationHttpMethod": "POST",
     "uri": "arn:aws:apigateway:eu-west-1:lambda:path/2015-03-31/functions/arn:aws:lambda:eu-west-1:000000000000:function:f/invocations"}, ("type", "AWS_PROXY")),
    ("put_integration", lambda t: t.at("/pets", "POST") | {"type": "AWS", "integrationHttpMethod": "POST",
     "uri": "arn:aws:apigateway:eu-west-1:sqs:path/0/q"}, ("type", "AWS")),
    ("put_integration", lambda t: t.at("/pets", "POST") | {"type": "MOCK", "contentHandling": "CONVERT_TO_TEXT"}, ("contentHandling", "CONVERT_TO_TEXT")),
    ("put_integration", lambda t: t.at("/pets", "POST") | {"type": "MOCK", "credentials": "arn:aws:iam::000000000000:role/r"}, ("credentials",)),
    ("put_method", lambda t: t.at("/pets", "PUT") | {"authorizationType": "AWS_IAM"}, ("authorizationType", "AWS_IAM")),
    ("put_method", lambda t: t.at("/pets", "PUT") | {"authorizationType": "CUSTOM", "authorizerId": "abc"}, ("uthoriz",)),
    ("put_method", lambda t: t.at("/pets", "PUT") | {"authorizationType": "NONE", "requestValidatorId": "abc"}, ("requestValidatorId", "abc")),
    ("create_rest_api", lambda t: {"name": "x", "minimumCompressionSize": 10}, ("minimumCompressionSize", "10")),
    ("create_rest_api", lambda t: {"name": "x", "policy": '{"Version":"2012-10-17"}'}, ("policy",)),
    ("create_stage", lambda t: {"restApiId": t.id, "stageName": "c", "deploymentId": t.deployment, "tracingEnabled": True}, ("tracingEnabled", "true")),
    ("create_stage", lambda t: {"restApiId": t.id, "stageName": "c", "deploymentId": t.deployment, "canarySettings": {"percentTraffic": 5.0}}, ("canarySettings",)),
    ("update_stage", lambda t: {"restApiId": t.id, "stageName": "dev",
     "patchOperations": [{"op": "replace", "path": "/*/*/metrics/enabled", "value": "true"}]}, ("method", "metrics/enabled", "true")),
]


@pytest.mark.parametrize("number", range(len(UNSUPPORTED)), ids=[f"{case[0]}-{case[2][-1]}-{number}" for number, case in enumerate(UNSUPPORTED)])
def test_unsupported_input_is_refused_by_name(client, tree, number):
    operation, arguments, names = UNSUPPORTED[number]
    found, message = refused(getattr(client, operation), arguments(tree))
    assert found == BAD, message
    assert "not supported" in message, message
    for name in names:
        assert name in message, f"the message must name {name}: {message}"


OPERATIONS = [
    ("get_authorizers", {"restApiId": "x"}), ("get_request_validators", {"restApiId": "x"}), ("get_domain_names", {}), ("get_client_certificates", {}), ("generate_client_certificate", {}), ("get_sdk_types", {}),
]


@pytest.mark.parametrize("operation, arguments", OPERATIONS, ids=[case[0] for case in OPERATIONS])
def test_operations_of_later_versions_say_so(client, operation, arguments):
    (code, status), message = refused(getattr(client, operation), arguments)
    assert status == 501 and code == "NotImplementedException", (code, status, message)
    assert operation.replace("_", "") in message.lower(), message


def test_other_services_name_what_they_lack(region):
    v2 = region.client("apigatewayv2")
    for call, arguments, name in ((v2.get_apis, {}, "GetApis"), (v2.create_api, {"Name": "x", "ProtocolType": "HTTP"}, "CreateApi")):
        kind, message = refused(call, arguments)
        assert kind == ("NotImplementedException", 501) and name in message, (kind, message)
    kind, message = refused(region.client("sts").assume_role, {"RoleArn": "arn:aws:iam::000000000000:role/x", "RoleSessionName": "abc"})
    assert kind == ("InvalidAction", 400) and "AssumeRole" in message


def test_an_empty_api_cannot_be_deployed(client, make_api):
    kind, message = refused(client.create_deployment, {"restApiId": make_api().id})
    assert (kind, message) == (BAD, "The REST API doesn't contain any methods")


def test_too_many_stages(client, make_api):
    api = make_api().mock("/a")
    deployment = api.deploy("s0")
    for number in range(1, 10):
        client.create_stage(restApiId=api.id, stageName=f"s{number}", deploymentId=deployment)
    kind, message = refused(client.create_stage, {"restApiId": api.id, "stageName": "s10", "deploymentId": deployment})
    assert kind == LIMIT and "10" in message


def test_shape_errors_are_counted_and_joined(client, tree):
    (code, status), message = refused(
        client.put_integration, tree.at("/pets", "POST") | {"type": "WRONG", "connectionType": "WRONGER"}
    )
    assert (code, status) == VALIDATION
    assert message.startswith("2 validation errors detected: ") and "WRONG'" in message and "WRONGER" in message and "; " in message


def test_error_answers_carry_aws_headers(control):
    answer = control("GET", f"/restapis/{MISSING}")
    assert answer.status == 403
    assert answer.header("x-amzn-ErrorType") and answer.header("x-amzn-RequestId") and answer.header("content-type") == "application/json"


def test_nothing_was_changed_by_what_was_refused(client, tree):
    methods = client.get_resource(restApiId=tree.id, resourceId=tree.paths["/pets"])["resourceMethods"]
    assert set(methods) == {"GET", "POST"}
    assert [item["stageName"] for item in client.get_stages(restApiId=tree.id)["item"]] == ["dev"]
    assert "x" not in [api["name"] for api in client.get_rest_apis(limit=500)["items"]]
