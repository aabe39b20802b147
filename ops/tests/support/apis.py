"""Builders: a REST API by hand, as a user of boto3 writes it."""

import json
import uuid

import pytest
from botocore.exceptions import ClientError

MOCK_TEMPLATE = {"application/json": '{"statusCode": 200}'}


class Api:
    """A REST API under construction."""

    def __init__(self, client, name=None, **settings):
        self.client = client
        self.created = client.create_rest_api(name=name or f"t-{uuid.uuid4().hex[:12]}", **settings)
        self.id = self.created["id"]
        root = client.get_resources(restApiId=self.id)["items"]
        assert [item["path"] for item in root] == ["/"], root
        self.paths = {"/": root[0]["id"]}

    def at(self, path, verb=None):
        """Arguments that name a resource, or a method of it."""
        named = {"restApiId": self.id, "resourceId": self.resource(path)}
        return named | {"httpMethod": verb} if verb else named

    def resource(self, path):
        """Id of a resource; creates it with its parents."""
        if path not in self.paths:
            parent, _, part = path.rpartition("/")
            made = self.client.create_resource(restApiId=self.id, parentId=self.resource(parent or "/"), pathPart=part)
            self.paths[path] = made["id"]
        return self.paths[path]

    def method(self, path, verb="GET", **settings):
        self.client.put_method(**self.at(path, verb), **({"authorizationType": "NONE"} | settings))
        return self

    def mock(self, path, verb="GET", body=None, status="200", template=None, parameters=None, method=None):
        """A method that answers by itself."""
        self.method(path, verb, **(method or {}))
        at = self.at(path, verb)
        declared = {name: False for name in parameters or {}}
        self.client.put_method_response(**at, statusCode=status, responseParameters=declared)
        self.client.put_integration(**at, type="MOCK", requestTemplates=template or MOCK_TEMPLATE)
        text = body if isinstance(body, str) else json.dumps(body if body is not None else {"path": path, "verb": verb})
        self.client.put_integration_response(
            **at, statusCode=status, responseTemplates={"application/json": text}, responseParameters=parameters or {}
        )
        return self

    def proxy(self, path, uri, verb="ANY", method=None, **settings):
        """A method that passes everything through."""
        self.method(path, verb, **(method or {}))
        given = {"type": "HTTP_PROXY", "integrationHttpMethod": "ANY" if verb == "ANY" else verb, "uri": uri} | settings
        self.client.put_integration(**self.at(path, verb), **given)
        return self

    def http(self, path, uri, verb="GET", responses=None, method=None, **settings):
        """A method with a mapped integration; `responses` maps status to the arguments of its integration response."""
        self.method(path, verb, **(method or {}))
        at = self.at(path, verb)
        given = {"type": "HTTP", "integrationHttpMethod": verb, "uri": uri} | settings
        self.client.put_integration(**at, **given)
        for status, response in (responses or {"200": {}}).items():
            declared = {name: False for name in response.get("responseParameters", {})}
            self.client.put_method_response(**at, statusCode=status, responseParameters=declared)
            self.client.put_integration_response(**at, statusCode=status, **response)
        return self

    def deploy(self, stage="dev", **settings):
        """Deploys; the deployment's id."""
        return self.client.create_deployment(restApiId=self.id, stageName=stage, **settings)["id"]

    def delete(self):
        self.client.delete_rest_api(restApiId=self.id)


def patch(*operations):
    """`("replace", "/name", "x")` … as patchOperations; a fourth item is `from`."""
    made = []
    for op, path, *rest in operations:
        entry = {"op": op, "path": path}
        if rest and rest[0] is not None:
            entry["value"] = rest[0]
        if len(rest) > 1:
            entry["from"] = rest[1]
        made.append(entry)
    return made


def without_metadata(answer):
    return {name: value for name, value in answer.items() if name != "ResponseMetadata"}


def refused(call, **arguments):
    """The error of a call that must fail: code, status, message."""
    with pytest.raises(ClientError) as error:
        call(**arguments)
    response = error.value.response
    return response["Error"]["Code"], response["ResponseMetadata"]["HTTPStatusCode"], response["Error"]["Message"]
