"""A development region as a user starts it: `tidegate dev` in a process of its own, and clients for it."""

import json
import os
import random
import shlex
import signal
import socket
import subprocess
import time
from pathlib import Path

import boto3
from botocore.config import Config

from . import raw
from .careful import careful

ROOT = Path(__file__).resolve().parents[3]
READY_SECONDS = 60
STOP_SECONDS = 20
# Below the range from which systems draw the ports of outgoing connections.
PORTS = range(11_000, 31_000)
CONTROL_SPAN = 160
GATEWAY_SPAN = 200


class NotReady(Exception):
    """The region ended or took too long; the text carries its output."""


def binary():
    """The binary under test: TIDEGATE_BIN, or the release build of this checkout."""
    target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    path = Path(os.environ.get("TIDEGATE_BIN", target / "release" / "tidegate"))
    if not path.exists():
        raise FileNotFoundError(f"{path} does not exist; run `cargo build --release` or set TIDEGATE_BIN")
    return path


def clean_environment():
    """The environment without anything that could point a client elsewhere."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    nowhere = str(ROOT / "ops" / "tests" / "absent")
    kept |= {"AWS_EC2_METADATA_DISABLED": "true", "AWS_CONFIG_FILE": nowhere, "AWS_SHARED_CREDENTIALS_FILE": nowhere}
    return kept | {"AWS_PAGER": "", "PYTHONWARNINGS": "ignore"}


def wait_until(condition, what, seconds=20, pause=0.01):
    """Polls until `condition()` is true and returns its value; fails with `what` when time is up."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds} s: {what() if callable(what) else what}")
        time.sleep(pause)


def suspend(pid):
    """Stops a process, and returns when none of its threads runs any more: a busy machine leaves them some time after the signal."""
    os.kill(pid, signal.SIGSTOP)

    def stands():
        states = [stat.read_text().rpartition(")")[2].split()[0] for stat in Path(f"/proc/{pid}/task").glob("*/stat")]
        return states and set(states) == {"T"}

    wait_until(stands, f"process {pid} stands", pause=0.001)


def is_free(port, kinds=(socket.SOCK_STREAM, socket.SOCK_DGRAM)):
    """Whether a port of the loopback address can be bound."""
    for kind in kinds:
        with socket.socket(socket.AF_INET, kind) as probe:
            if kind == socket.SOCK_STREAM:
                # As servers do, so that connections of the last one that wait for their end do not count.
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                return False
    return True


def free_block(span):
    """The first port of `span` free ones in a row."""
    for _ in range(200):
        start = random.randrange(PORTS.start, PORTS.stop - span)
        if all(is_free(port) for port in range(start, start + span)):
            return start
    raise AssertionError(f"found no {span} free ports in a row")


class Region:
    """One development region; its data stays when it stops, so that it can be started again."""

    def __init__(self, data, azs=3):
        self.data = Path(data)
        self.azs = azs
        # One block, so that the two never overlap.
        self.port = free_block(CONTROL_SPAN + GATEWAY_SPAN)
        self.gateway_port = self.port + CONTROL_SPAN
        self.process = None
        self.ready_seconds = None
        self.output = self.data.parent / f"{self.data.name}.out"

    # Life

    def command(self, *more):
        ports = ["--port", self.port, "--gateway-port", self.gateway_port, "--azs", self.azs]
        return [str(part) for part in [binary(), "dev", "--data", self.data, *ports, *more]]

    def start(self, *more, seconds=READY_SECONDS, environment=None):
        """Starts the region and waits until it says that it is ready; measures how long that took."""
        self.output.parent.mkdir(parents=True, exist_ok=True)
        started = time.monotonic()
        with open(self.output, "wb") as output:
            self.process = subprocess.Popen(
                self.command(*more), stdout=output, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
                env=clean_environment() | (environment or {}),
            )
        while "Ready in" not in self.said():
            if self.process.poll() is not None:
                raise NotReady(f"ended with {self.process.returncode}:\n{self.story()}")
            if time.monotonic() - started > seconds:
                story = self.story()
                self.stop()
                raise NotReady(f"not ready after {seconds} s:\n{story}")
            time.sleep(0.005)
        self.ready_seconds = time.monotonic() - started
        return self

    def stop(self):
        """Stops as Ctrl-C does; kills when that does not work, and says so."""
        if self.process is None or self.process.poll() is not None:
            return
        self.process.send_signal(signal.SIGINT)
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError(f"the region did not stop within {STOP_SECONDS} s of SIGINT:\n{self.story()}") from None

    def said(self):
        return self.output.read_text(errors="replace") if self.output.exists() else ""

    def story(self):
        """Its output and the ends of its nodes' logs, for failure texts."""
        parts = [self.said()]
        for log in sorted(self.data.glob("*/node.log")):
            parts.append(f"--- {log.parent.name}\n" + "\n".join(log.read_text(errors="replace").splitlines()[-15:]))
        return "\n".join(parts)

    # What it is

    @property
    def dev(self):
        """Contents of dev.json, read anew each time."""
        return json.loads((self.data / "dev.json").read_text())

    @property
    def nodes(self):
        return self.dev["nodes"]

    def node(self, az):
        return next(node for node in self.nodes if node["az"] == az)

    @property
    def environment(self):
        """The environment of a shell after `eval "$(tidegate env)"`."""
        lines = self.tidegate("env").stdout.splitlines()
        words = [shlex.split(line) for line in lines if line.startswith("export ")]
        return clean_environment() | dict(word[1].split("=", 1) for word in words)

    # Clients

    def client(self, service="apigateway", settles=True, **given):
        """A boto3 client without retries, so that one call is one request; with `settles` but for a write of unknown outcome."""
        dev = self.dev
        settings = {
            "endpoint_url": dev["control"],
            "region_name": dev["region"],
            "aws_access_key_id": dev["access_key_id"],
            "aws_secret_access_key": dev["secret_access_key"],
        } | given
        config = Config(retries={"total_max_attempts": 1}, connect_timeout=3, read_timeout=40).merge(settings.pop("config", Config()))
        client = boto3.session.Session().client(service, config=config, **settings)
        return careful(client) if settles else client

    def tidegate(self, *words, check=True, seconds=60, stdin=None):
        """Runs a verb of the binary against this region."""
        done = subprocess.run(
            [str(binary()), *map(str, words), "--data", str(self.data)],
            capture_output=True, text=True, timeout=seconds, env=clean_environment(), input=stdin,
        )
        if check and done.returncode:
            raise AssertionError(f"tidegate {' '.join(map(str, words))}: {done.returncode}\n{done.stdout}{done.stderr}")
        return done

    def status(self):
        """`tidegate cluster status -o json`."""
        return json.loads(self.tidegate("cluster", "status", "-o", "json").stdout)

    # Calls

    def host(self, api):
        return f"{api}.execute-api.{self.dev['region']}.localhost"

    def call(self, api, stage, path="/", method="GET", headers=(), body=None, node=None, style="host", **more):
        """One request to a deployed API, through the balancer or through one node's own gateway."""
        url = (node or self.dev)["gateway"]
        targets = {
            "host": f"/{stage}{path}",
            "aws": f"/_aws/execute-api/{api}/{stage}{path}",
            "restapis": f"/restapis/{api}/{stage}/_user_request_{path}",
        }
        fields = dict(headers)
        if style == "host" and not any(name.lower() == "host" for name in fields):
            fields["Host"] = self.host(api)
        return raw.request(url, method, targets[style], fields, body, **more)
