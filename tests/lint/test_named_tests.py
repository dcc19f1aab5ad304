"""The lint sees names without a test."""

from __future__ import annotations

import unittest

import named_tests

E2E = "    def test_one(self) -> None:\n"
UNIT = {"submit/pace": "static void it_goes(void **state)\n"}


class NamedTestsTest(unittest.TestCase):
    def test_a_test_that_is_there_is_no_fault(self) -> None:
        self.assertEqual(named_tests.missing("| x | `test_one` | unit `submit/pace`: `it_goes` |", E2E, UNIT), [])

    def test_a_test_that_is_gone_is_named(self) -> None:
        self.assertEqual(named_tests.missing("`test_one`, `test_two`", E2E, UNIT), ["test_two"])
        self.assertEqual(named_tests.missing("unit `submit/pace`: `it_goes`, `it_went`", E2E, UNIT), ["submit/pace: it_went"])
        self.assertEqual(named_tests.missing("unit `submit/gone`: `it_goes`", E2E, UNIT), ["submit/gone: it_goes"])


if __name__ == "__main__":
    unittest.main()
