"""An upstream whose answers tell how often it was asked, and that can be told to answer badly.

Every answer is a JSON document: `n` counts the requests for its path, `headers` are the request's. `Origin.plan` says what else an
answer to a path has: status, lines, a body, a pause, a validator, or a way of ending that is none.
"""

import collections
import dataclasses
import json
import time

from .upstream import Upstream, echo

WHOLE, TRUNCATED, BROKEN_CHUNKS, UNTIL_CLOSED, CHUNKED, NOTHING = "whole", "truncated", "broken chunks", "until closed", "chunked", "nothing"


@dataclasses.dataclass
class Plan:
    """What an answer has besides its document."""

    status: int = 200
    lines: tuple = ()
    body: bytes = None
    pause: float = 0
    etag: str = None
    ends: str = WHOLE


class Origin(Upstream):
    """The server; `asked` counts requests by path, whatever the query."""

    def __init__(self):
        self.plans, self.otherwise, self.asked = {}, Plan(), collections.Counter()
        super().__init__()

    def plan(self, path, **given):
        """What requests for a path are answered with from now on."""
        with self.lock:
            self.plans[path] = Plan(**given)

    def plan_all(self, **given):
        """What requests for paths without a plan are answered with from now on."""
        with self.lock:
            self.otherwise = Plan(**given)

    def forget(self):
        super().forget()
        with self.lock:
            self.plans.clear()
            self.asked.clear()
            self.otherwise = Plan()

    def count(self, path):
        """How often a path was asked for."""
        with self.lock:
            return self.asked[path]

    def _answer(self, stream, seen):
        path = seen.target.split("?")[0]
        with self.lock:
            self.asked[path] += 1
            plan, number = self.plans.get(path, self.otherwise), self.asked[path]
        document = echo(seen) | {"n": number}
        time.sleep(plan.pause)
        if plan.etag:
            is_known = seen.header("if-none-match") == plan.etag
            plan = dataclasses.replace(plan, lines=(*plan.lines, ("ETag", plan.etag)), status=304 if is_known else plan.status)
        return _send(stream, seen, plan, json.dumps(document).encode() if plan.body is None else plan.body)


def _send(stream, seen, plan, body):
    if plan.ends == NOTHING:
        return False
    has_body = plan.status >= 200 and plan.status not in (204, 304)
    lines = [f"HTTP/1.1 {plan.status} Reason", *(f"{name}: {value}" for name, value in plan.lines)]
    if has_body:
        lines.append("Content-Type: application/json")
    match plan.ends:
        case "truncated":
            lines.append(f"Content-Length: {len(body) + 1}")
        case "until closed":
            lines.append("Connection: close")
        case "chunked" | "broken chunks":
            lines.append("Transfer-Encoding: chunked")
            body = b"%x\r\n%s\r\n" % (len(body), body) + (b"0\r\n\r\n" if plan.ends == CHUNKED else b"")
        case _ if has_body:
            lines.append(f"Content-Length: {len(body)}")
    head = "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n"
    stream.sendall(head + (body if has_body and seen.method != "HEAD" else b""))
    return plan.ends in (WHOLE, CHUNKED)
