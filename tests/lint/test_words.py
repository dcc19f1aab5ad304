"""The lint of words sees what is planted, and only that."""

from __future__ import annotations

import tempfile
import unittest
from pathlib import Path

import words


class WordsTest(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = Path(folder.name)
        (self.root / "src").mkdir()

    def faults(self, code: str) -> list[str]:
        (self.root / "src/a.c").write_text(code)
        return words.findings(self.root)[0]

    def test_a_banned_call_is_named_with_its_line(self) -> None:
        self.assertEqual(self.faults('int x;\nint y = atoi (s);\n'), ["src/a.c:2: atoi is never called here"])

    def test_words_in_comments_strings_and_longer_names_are_no_calls(self) -> None:
        self.assertEqual(self.faults('/* system( */ // gets(\nchar *s = "popen(\\"";\nlocaltime_r(&t, &tm);\nfile_system(1);\n'), [])

    def test_a_mark_of_unfinished_work_is_seen_in_a_comment(self) -> None:
        self.assertEqual(self.faults("/* " + "TO" + "DO: later */\n"), ["src/a.c:1: " + "TO" + "DO"])

    def test_a_long_file_is_told_of_and_a_longer_one_fails(self) -> None:
        self.assertEqual(self.faults("\n" * 420), [])
        self.assertEqual(len(words.findings(self.root)[1]), 1)
        self.assertEqual(len(self.faults("\n" * 451)), 1)


if __name__ == "__main__":
    unittest.main()
