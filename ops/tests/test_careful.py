"""The harness's own client: what it settles, and that it does not hide more."""

import pytest
from botocore.exceptions import ClientError

from support.careful import UNCERTAIN_MAX, careful

UNKNOWN = ("ServiceUnavailableException", "The change was proposed and its outcome is unknown: it may or may not be applied.")
CONFLICT = ("ConflictException", "Method already exists for this resource")
GONE = ("NotFoundException", "Invalid resource identifier specified")
NO_QUORUM = ("ServiceUnavailableException", "No quorum")
PUT = {"restApiId": "a", "resourceId": "r", "httpMethod": "GET", "authorizationType": "NONE", "parentId": "p", "pathPart": "q"}
FOUND = {"id": "r", "parentId": "p", "pathPart": "q"}


class Script:
    """Answers calls in order and keeps what was asked."""

    def __init__(self, *answers):
        self.answers, self.asked = list(answers), []

    def _make_api_call(self, operation, arguments):
        self.asked.append((operation, arguments))
        answer = self.answers.pop(0)
        if isinstance(answer, tuple):
            raise ClientError({"Error": {"Code": answer[0], "Message": answer[1]}}, operation)
        return answer


@pytest.mark.parametrize("operation,answers,asked,answer", [
    ("PutMethod", [UNKNOWN, {"made": 1}], ["PutMethod", "PutMethod"], {"made": 1}),
    ("PutMethod", [UNKNOWN, CONFLICT, {"found": 1}], ["PutMethod", "PutMethod", "GetMethod"], {"found": 1}),
    ("DeleteMethod", [UNKNOWN, GONE], ["DeleteMethod", "DeleteMethod"], {}),
    ("CreateResource", [UNKNOWN, CONFLICT, {"items": [{"id": "/"}, FOUND]}], ["CreateResource", "CreateResource", "GetResources"], FOUND),
    ("CreateResource", [UNKNOWN, CONFLICT, {"items": [{"id": "/"}]}], ["CreateResource", "CreateResource", "GetResources"], CONFLICT[0]),
    ("CreateStage", [UNKNOWN, CONFLICT], ["CreateStage", "CreateStage"], CONFLICT[0]),
    ("PutMethod", [UNKNOWN, UNKNOWN, {"made": 1}], ["PutMethod", "PutMethod", "PutMethod"], {"made": 1}),
    ("PutMethod", [UNKNOWN, NO_QUORUM], ["PutMethod", "PutMethod"], NO_QUORUM[0]),
    ("PutMethod", [CONFLICT], ["PutMethod"], CONFLICT[0]),
    ("PutMethod", [NO_QUORUM], ["PutMethod"], NO_QUORUM[0]),
])
def test_a_write_of_unknown_outcome_is_settled(operation, answers, asked, answer):
    seen = []
    client = careful(script := Script(*answers), seen, pause=0)
    if isinstance(answer, dict):
        assert client._make_api_call(operation, PUT) == answer
    else:
        with pytest.raises(ClientError, match=answer):
            client._make_api_call(operation, PUT)
    assert [name for name, _ in script.asked] == asked
    assert seen == [operation] * answers.count(UNKNOWN)


def test_many_are_not_settled():
    client = careful(Script(*[UNKNOWN, {}] * UNCERTAIN_MAX, UNKNOWN), [], pause=0)
    for _ in range(UNCERTAIN_MAX):
        client._make_api_call("PutMethod", PUT)
    with pytest.raises(ClientError, match=UNKNOWN[0]):
        client._make_api_call("PutMethod", PUT)
