"""The unmodified AWS CLI, in the environment that `tidegate env` prints."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

AWS = Path(sys.executable).parent / "aws"


@pytest.fixture(scope="module")
def aws(region):
    environment = region.environment
    assert environment["AWS_ENDPOINT_URL"] == region.dev["control"]

    def run(*words, fails=False):
        done = subprocess.run([str(AWS), *words, "--output", "json"], env=environment, capture_output=True, text=True, timeout=60)
        assert (done.returncode != 0) == fails, f"{words}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stderr if fails else json.loads(done.stdout or "null")

    return run


def test_env_speaks_shell(region):
    text = region.tidegate("env").stdout
    names = [line.split("=")[0] for line in text.splitlines() if line.startswith("export ")]
    wanted = ["AWS_ENDPOINT_URL", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"]
    assert sorted(names) == sorted(f"export {name}" for name in wanted)


def test_who_am_i(aws):
    assert aws("sts", "get-caller-identity") == {
        "UserId": "000000000000", "Account": "000000000000", "Arn": "arn:aws:iam::000000000000:root",
    }


def test_from_nothing_to_an_answer(aws, region, upstream, everywhere):
    gw = lambda verb, *words: aws("apigateway", verb, *words)
    api = gw("create-rest-api", "--name", "from the command line", "--tags", "a=b")["id"]
    try:
        root = gw("get-resources", "--rest-api-id", api)["items"][0]["id"]
        pets = gw("create-resource", "--rest-api-id", api, "--parent-id", root, "--path-part", "pets")
        assert pets["path"] == "/pets"
        at = ["--rest-api-id", api, "--resource-id", pets["id"], "--http-method", "GET"]
        assert gw("put-method", *at, "--authorization-type", "NONE")["httpMethod"] == "GET"
        made = gw("put-integration", *at, "--type", "HTTP_PROXY", "--integration-http-method", "GET", "--uri", f"{upstream.url}/pets")
        assert made["uri"] == f"{upstream.url}/pets"
        gw("put-method-response", *at, "--status-code", "200")
        deployed = gw("create-deployment", "--rest-api-id", api, "--stage-name", "dev", "--variables", "color=blue")
        assert gw("get-stage", "--rest-api-id", api, "--stage-name", "dev")["deploymentId"] == deployed["id"]
        assert everywhere(api, "dev", "/pets")[0].json["target"] == "/pets"
        patch = "op=replace,path=/variables/color,value=green"
        stage = gw("update-stage", "--rest-api-id", api, "--stage-name", "dev", "--patch-operations", patch)
        assert stage["variables"] == {"color": "green"}
        assert api in [item["id"] for item in gw("get-rest-apis")["items"]]
    finally:
        gw("delete-rest-api", "--rest-api-id", api)
    everywhere(api, "dev", "/pets", status=403)


def test_import_and_export_files(aws, tmp_path):
    document = tmp_path / "api.json"
    operation = {"responses": {"200": {"description": "ok"}}, "x-amazon-apigateway-integration": {"type": "mock", "requestTemplates": {"application/json": "{\"statusCode\": 200}"}}}
    document.write_text(json.dumps({"openapi": "3.0.1", "info": {"title": "imported", "version": "1"}, "paths": {"/a": {"get": operation}}}))
    api = aws("apigateway", "import-rest-api", "--body", f"fileb://{document}")["id"]
    try:
        aws("apigateway", "create-deployment", "--rest-api-id", api, "--stage-name", "dev")
        out = tmp_path / "out.json"
        aws(
            "apigateway", "get-export", "--rest-api-id", api, "--stage-name", "dev", "--export-type", "oas30",
            "--parameters", "extensions=apigateway", str(out),
        )
        exported = json.loads(out.read_text())
        assert exported["info"]["title"] == "imported"
        assert exported["paths"]["/a"]["get"]["x-amazon-apigateway-integration"]["type"].lower() == "mock"
    finally:
        aws("apigateway", "delete-rest-api", "--rest-api-id", api)


def test_errors_reach_the_terminal(aws):
    text = aws("apigateway", "get-rest-api", "--rest-api-id", "missing1234", fails=True)
    assert "An error occurred (NotFoundException) when calling the GetRestApi operation: Invalid API identifier specified 000000000000:missing1234" in text
