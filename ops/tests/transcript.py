"""Reads the ```console blocks of a page: lines after `$ ` are commands, what follows is the output with `…` for anything."""

import re
from pathlib import Path


def blocks(page):
    """All console blocks of a page, each a list of (line number, command, expected output)."""
    found, current, inside = [], [], False
    for number, line in enumerate(Path(page).read_text().splitlines(), start=1):
        if line.strip() == "```console" and not inside:
            current, inside = [], True
        elif line.strip() == "```" and inside:
            found.append(current)
            inside = False
        elif inside and line.startswith("$ "):
            current.append((number, line[2:], []))
        elif inside:
            if not current:
                raise ValueError(f"line {number}: output before the first command")
            current[-1][2].append(line)
    if inside:
        raise ValueError("a console block never ends")
    return [[(number, command, "\n".join(output).strip()) for number, command, output in block] for block in found]


def matches(expected, found):
    """Whether the output is as written; `…` stands for anything, and the width of a table's columns does not count."""
    expected, found = (re.sub(" {2,}", "  ", text.strip()) for text in (expected, found))
    pattern = "".join(".*?" if part == "…" else re.escape(part) for part in re.split("(…)", expected))
    return re.fullmatch(pattern, found, re.DOTALL) is not None
