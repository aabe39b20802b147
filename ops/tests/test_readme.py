"""The README's transcripts, run in order against a fresh region, in one shell as a reader would."""

import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest

import transcript
from support.region import ROOT, Region, binary, clean_environment

PAGE = ROOT / "README.md"
END = "--- end of output ---"
COMMAND_SECONDS = 60

CURL = """#!{python}
import sys, urllib.error, urllib.request
try:
    sys.stdout.buffer.write(urllib.request.urlopen(sys.argv[-1]).read())
except urllib.error.HTTPError as error:
    sys.stdout.buffer.write(error.read())
"""


class Shell:
    """One bash for the whole page, so that variables and exports carry over."""

    def __init__(self, folder, environment):
        self.process = subprocess.Popen(
            ["bash", "--norc"], cwd=folder, env=environment, text=True, bufsize=1,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )

    def run(self, command):
        """Output and exit status of a command."""
        self.process.stdin.write(f"{command}\nprintf '\\n%s %s\\n' '{END}' $?\n")
        self.process.stdin.flush()
        watch = threading.Timer(COMMAND_SECONDS, self.process.kill)
        watch.start()
        lines = []
        try:
            for line in self.process.stdout:
                if line.startswith(END):
                    return "".join(lines).rstrip("\n"), int(line.split()[-1])
                lines.append(line)
        finally:
            watch.cancel()
        raise AssertionError(f"the shell ended, or took {COMMAND_SECONDS} s: {''.join(lines)}")

    def close(self):
        self.process.stdin.close()
        self.process.wait(10)


@pytest.fixture(scope="module")
def shell(tmp_path_factory):
    """A shell in a folder with `./.tidegate-dev`, as after `tidegate dev`."""
    folder = tmp_path_factory.mktemp("readme")
    tools = folder / "bin"
    tools.mkdir()
    (tools / "tidegate").symlink_to(binary().resolve())
    (tools / "aws").symlink_to(Path(sys.executable).parent / "aws")
    if shutil.which("curl") is None:
        (tools / "curl").write_text(CURL.format(python=sys.executable))
        (tools / "curl").chmod(0o755)
    region = Region(folder / ".tidegate-dev")
    region.output = folder / "dev.out"
    try:
        region.start()
        environment = clean_environment() | {"PATH": f"{tools}{os.pathsep}{os.environ['PATH']}", "GATEWAY": region.dev["gateway"]}
        shell = Shell(folder, environment)
        yield shell
        shell.close()
    finally:
        region.stop()


def steps():
    if not PAGE.exists():
        return []
    return [step for block in transcript.blocks(PAGE) for step in block]


@pytest.mark.parametrize("number, command, expected", steps(), ids=[f"line-{step[0]}" for step in steps()])
def test_transcript(shell, number, command, expected):
    found, status = shell.run(command)
    assert status == 0, f"README.md:{number}: {command}\nended with {status}:\n{found}"
    assert transcript.matches(expected, found), f"README.md:{number}: {command}\n--- expected\n{expected}\n--- found\n{found}"


def test_there_are_transcripts():
    assert len(steps()) >= 5


@pytest.mark.parametrize("expected, found, fits", [
    ("a … c", "a b c", True), ("a … c", "a b d", False), ("", "", True), ("", "x", False), ("…", "x\ny", True),
    ("NODE  …\nend", "NODE  x y\nend", True), ("a.c", "abc", False), ("A  B", "A     B", True), ("A  B", "A B", False), ('{"a": 1}', '{"a": 2}', False),
])
def test_the_comparison_can_fail(expected, found, fits):
    assert transcript.matches(expected, found) == fits
