"""Checks the dependency graph against ops/deny/dependencies.toml: licences, bans, single versions, duplicates.

Prints one line per complaint and ends with 1 when there is one. `--selftest` proves that each rule can fail.
"""

import collections
import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
RULES = ROOT / "ops" / "deny" / "dependencies.toml"


def main():
    rules = tomllib.loads(RULES.read_text())
    metadata = read_metadata()
    if "--selftest" in sys.argv:
        return selftest(rules, metadata)
    complaints = check(rules, metadata)
    for complaint in complaints:
        print(complaint)
    print(f"dependencies: {len(metadata['packages'])} packages, {len(shipped())} shipped, {len(complaints)} complaints")
    return 1 if complaints else 0


def read_metadata():
    """The graph of this machine's platform, without touching the network or the lock file."""
    host = re.search(r"^host: (\S+)$", run("rustc", "-vV"), re.MULTILINE)[1]
    return json.loads(run("cargo", "metadata", "--locked", "--format-version", "1", "--filter-platform", host))


def run(*words):
    return subprocess.run(words, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout


def check(rules, metadata):
    """All complaints."""
    return [
        *licences(rules, metadata), *bans(rules, metadata), *direct_bans(rules, metadata), *single(rules, metadata),
        *duplicates(rules, metadata), *sources(metadata),
    ]


def licences(rules, metadata):
    allowed = set(rules["licences"]["allowed"])
    for package in metadata["packages"]:
        expression = package["license"]
        if not expression:
            yield f"licence: {label(package)} states none"
        elif not satisfied(expression, allowed):
            yield f"licence: {label(package)} is {expression}, which the allowed list does not satisfy"


def bans(rules, metadata):
    graph = shipped()
    for package in metadata["packages"]:
        if (package["name"], package["version"]) not in graph:
            continue
        if reason := rules["banned"].get(package["name"]):
            yield f"banned: {label(package)}: {reason}; pulled in by {', '.join(users(metadata, package['id']))}"
        for version in rules["banned_versions"].get(package["name"], []):
            if package["version"].startswith(version + "."):
                yield f"banned: {label(package)}: version {version} must not be in the graph; pulled in by {', '.join(users(metadata, package['id']))}"


def direct_bans(rules, metadata):
    ours = set(metadata["workspace_members"])
    for package in metadata["packages"]:
        for dependency in package["dependencies"] if package["id"] in ours else []:
            if reason := rules["banned_direct"].get(dependency["name"]):
                yield f"banned: {package['name']} names {dependency['name']}: {reason}"


def single(rules, metadata):
    found = versions(metadata)
    for name in rules["single"]["crates"]:
        if len(found[name]) > 1:
            yield f"single: {name} is there in {len(found[name])} versions: {', '.join(sorted(found[name]))}"


def duplicates(rules, metadata):
    """More versions than listed are a complaint, and so are fewer: the list shrinks with them."""
    found = versions(metadata)
    listed = rules["duplicates"]
    for name in sorted({name for name, each in found.items() if len(each) > 1} | set(listed)):
        count, allowed = len(found[name]), listed.get(name, 1)
        if count > allowed:
            yield f"duplicate: {name} is there in {count} versions ({', '.join(sorted(found[name]))}), allowed are {allowed}"
        elif count < allowed:
            yield f"duplicate: {name} is there in {count} version(s), the list says {allowed}: lower it"


def sources(metadata):
    registry = "registry+https://github.com/rust-lang/crates.io-index"
    for package in metadata["packages"]:
        if package["source"] not in (None, registry):
            yield f"source: {label(package)} comes from {package['source']}, not from the registry"


def shipped():
    """Name and version of every package in the normal and build graph. `cargo tree` decides, as `cargo metadata` also shows
    optional packages that only another platform turns on."""
    lines = run("cargo", "tree", "--locked", "--workspace", "-e", "normal,build", "--prefix", "none", "--format", "{p}").splitlines()
    words = [line.split() for line in lines if line.strip()]
    return {(word[0], word[1].removeprefix("v")) for word in words}


def users(metadata, package_id):
    names = {package["id"]: package["name"] for package in metadata["packages"]}
    found = [names[node["id"]] for node in metadata["resolve"]["nodes"] if package_id in node["dependencies"]]
    return found or ["the workspace"]


def versions(metadata):
    used = {node["id"] for node in metadata["resolve"]["nodes"]}
    found = collections.defaultdict(set)
    for package in metadata["packages"]:
        if package["id"] in used:
            found[package["name"]].add(package["version"])
    return found


def label(package):
    return f"{package['name']} {package['version']}"


def satisfied(expression, allowed):
    """Evaluates an SPDX expression: AND needs both sides, OR one; the old `/` means OR; `X+` is X or later."""
    tokens = re.findall(r"\(|\)|[^\s()/]+|/", expression)
    tokens = ["OR" if token == "/" else token for token in tokens]

    def either(at):
        value, at = both(at)
        while at < len(tokens) and tokens[at] == "OR":
            right, at = both(at + 1)
            value = value or right
        return value, at

    def both(at):
        value, at = one(at)
        while at < len(tokens) and tokens[at] == "AND":
            right, at = one(at + 1)
            value = value and right
        return value, at

    def one(at):
        if tokens[at] == "(":
            value, at = either(at + 1)
            return value, at + 1
        name = tokens[at].removesuffix("+")
        if tokens[at + 1:at + 2] == ["WITH"]:
            return f"{name} WITH {tokens[at + 2]}" in allowed, at + 3
        return name in allowed, at + 1

    return either(0)[0]


def selftest(rules, metadata):
    """Turns each rule against the real graph and expects a complaint."""
    trials = {
        "licence": rules | {"licences": {"allowed": ["None-1.0"]}},
        "banned": rules | {"banned": {"tokio": "a trial"}},
        "single": rules | {"single": {"crates": [next(iter(rules["duplicates"]))]}},
        "duplicate": rules | {"duplicates": {}},
    }
    silent = [kind for kind, changed in trials.items() if not any(text.startswith(kind) for text in check(changed, metadata))]
    expressions = {"MIT": True, "GPL-3.0": False, "MIT OR GPL-3.0": True, "MIT AND GPL-3.0": False, "GPL-3.0/MIT": True,
                   "(MIT OR GPL-3.0) AND ISC": True, "(GPL-2.0 OR GPL-3.0) AND MIT": False, "MPL-2.0+": True}
    silent += [text for text, expect in expressions.items() if satisfied(text, {"MIT", "ISC", "MPL-2.0"}) != expect]
    print(f"dependencies: {len(trials) + len(expressions)} self-checks, {len(silent)} failed {silent or ''}".rstrip())
    return 1 if silent else 0


if __name__ == "__main__":
    sys.exit(main())
