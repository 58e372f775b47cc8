"""The table of errors in docs/api.md: the same as in the code, and each row with a test."""

import re
import sys
from pathlib import Path

from apikeys.errors import Problem

PROJECT = Path(__file__).resolve().parents[2]
sys.path.append(str(PROJECT / "scripts"))


def test_the_docs_have_the_table_of_the_code():
    import error_table

    written = (PROJECT / "docs" / "api.md").read_text()

    assert written.endswith(error_table.MARK + error_table.table())


def test_the_codes_tell_the_problems_and_their_statuses_apart():
    codes = [problem.code for problem in Problem]

    assert len(set(codes)) == len(codes)
    for problem in Problem:
        assert re.fullmatch(r"C\d{6}", problem.code) and problem.code[1:4] == str(problem.status)


def test_each_row_has_a_test():
    tests = "".join(path.read_text() for path in PROJECT.glob("*/**/tests/test_*api*.py"))
    tests += "".join(path.read_text() for path in PROJECT.glob("*/tests/test_*api*.py"))

    assert [problem.code for problem in Problem if f'"{problem.code}"' not in tests] == []
