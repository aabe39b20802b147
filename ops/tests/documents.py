"""OpenAPI documents for the import tests, as Python values."""

import json

import yaml


def integration(uri, verb="GET", kind="http_proxy", **more):
    return {"type": kind, "httpMethod": verb, "uri": uri} | more


MOCK = {
    "type": "mock",
    "requestTemplates": {"application/json": '{"statusCode": 200}'},
    "passthroughBehavior": "when_no_templates",
    "responses": {"default": {
        "statusCode": "200",
        "responseParameters": {"method.response.header.X-Static": "'fixed'"},
        "responseTemplates": {"application/json": '{"from": "mock"}'},
    }},
}


def openapi3(upstream, title="imported"):
    """A small API with parameters, a model, a MOCK, an HTTP and an HTTP_PROXY integration."""
    ok = {"description": "ok", "headers": {"X-Static": {"schema": {"type": "string"}}},
          "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Pet"}}}}
    plain = {"200": {"description": "ok"}}
    by_id = {"name": "id", "in": "path", "required": True, "schema": {"type": "string"}}
    page = {"name": "page", "in": "query", "schema": {"type": "string"}}
    mapped = integration(
        f"{upstream}/mapped", kind="http", timeoutInMillis=5000, requestParameters={"integration.request.querystring.p": "method.request.querystring.page"},
        responses={"default": {"statusCode": "200"}, "4\\d{2}": {"statusCode": "404"}},
    )
    return {
        "openapi": "3.0.1",
        "info": {"title": title, "version": "2026-01", "description": "for tests"},
        "paths": {
            "/mock": {"get": {"operationId": "Mock", "responses": {"200": ok}, "x-amazon-apigateway-integration": MOCK}},
            "/mapped": {"get": {"parameters": [page], "responses": plain | {"404": {"description": "none"}}, "x-amazon-apigateway-integration": mapped}},
            "/pets/{id}": {
                "parameters": [by_id],
                "get": {"responses": plain, "x-amazon-apigateway-integration": integration(
                    f"{upstream}/pets/{{id}}", requestParameters={"integration.request.path.id": "method.request.path.id"})},
                "post": {
                    "parameters": [by_id],
                    "requestBody": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Pet"}}}},
                    "responses": plain, "x-amazon-apigateway-integration": integration(
                        f"{upstream}/pets/{{id}}", "POST", requestParameters={"integration.request.path.id": "method.request.path.id"}),
                },
            },
            "/files/{proxy+}": {"x-amazon-apigateway-any-method": {
                "parameters": [{"name": "proxy", "in": "path", "required": True, "schema": {"type": "string"}}],
                "x-amazon-apigateway-integration": integration(
                    f"{upstream}/files/{{proxy}}", "ANY", requestParameters={"integration.request.path.proxy": "method.request.path.proxy"}),
            }},
        },
        "components": {"schemas": {"Pet": {"type": "object", "properties": {"name": {"type": "string"}}}}},
    }


def swagger2(upstream, title="imported"):
    """The same API in OpenAPI 2.0."""
    source = openapi3(upstream, title)
    document = {"swagger": "2.0", "info": source["info"], "paths": json.loads(json.dumps(source["paths"])), "definitions": source["components"]["schemas"]}
    for path in document["paths"].values():
        for operation in [path, *(value for value in path.values() if isinstance(value, dict))]:
            _parameters_of_2(operation)
            _responses_of_2(operation)
    return document


def _parameters_of_2(operation):
    for parameter in operation.get("parameters", []):
        parameter["type"] = parameter.pop("schema")["type"]
    body = operation.pop("requestBody", None)
    if body:
        schema = {"$ref": "#/definitions/Pet"}
        operation["consumes"] = ["application/json"]
        operation.setdefault("parameters", []).append({"name": "Pet", "in": "body", "schema": schema})


def _responses_of_2(operation):
    for response in operation.get("responses", {}).values():
        for name, header in response.get("headers", {}).items():
            response["headers"][name] = {"type": header["schema"]["type"]}
        if response.pop("content", None):
            operation["produces"] = ["application/json"]
            response["schema"] = {"$ref": "#/definitions/Pet"}


def as_json(document):
    return json.dumps(document).encode()


def as_yaml(document):
    return yaml.safe_dump(document, sort_keys=False).encode()
