"""README's commands are the ones that are run."""

from __future__ import annotations

import re

from places import REPOSITORY
from SyntheticCTProgram.program import build_parser


def test_ci_runs_the_test_line_of_the_readme():
    lines = [x for x in (REPOSITORY / "README.md").read_text().splitlines() if "-m pytest" in x]
    assert len(lines) == 1
    assert ".venv/bin/pip install -q -c constraints.txt -e '.[test]'" in lines[0]
    assert "README.md" in (REPOSITORY / ".ci" / "run").read_text()


def test_every_command_in_the_documents_is_understood():
    parser = build_parser()
    found = 0
    for document in (REPOSITORY / "README.md", REPOSITORY / "Resources" / "DemoModel.md"):
        for line in re.findall(r"^synthetic-ct (.+)$", document.read_text(), re.MULTILINE):
            for command in line.split(" && synthetic-ct "):
                arguments = [a.strip('"') for a in re.findall(r'"[^"]*"|\S+', command)]
                parser.parse_args(arguments)
                found += 1
    assert found >= 6
