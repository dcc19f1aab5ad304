"""The include rules see what is planted in a copy of src/."""

from __future__ import annotations

import shutil
import tempfile
import unittest
from pathlib import Path

import include_rules

SRC = Path(__file__).resolve().parents[2] / "src"

PLANTED = [  # file, line, what is said of it
    ("base/text.c", '#include "config/config.h"', "base may not include config"),
    ("track/verdict.c", '#include "queue/queue.h"', "track may not include queue"),
    ("track/request.c", "#include <time.h>", "track has no files and no clock"),
    ("track/request.c", '#include "base/clock.h"', "track has no files and no clock"),
    ("queue/claim.c", '#include "submit/pace.h"', "queue may not include submit"),
    ("intake/load.c", '#include "submit/submit.h"', "intake may not include submit"),
    ("intake/load.c", '#include "queue/db.h"', "queue's own"),
    ("cli/run.c", '#include "queue/internal.h"', "queue's own"),
    ("control/answer.c", '#include "config/config.h"', "control may not include config"),
    ("cli/run.c", '#include "control/json.h"', "control's own"),
    ("report/receipt.c", '#include "intake/csv.h"', "report may not include intake"),
    ("submit/pace.c", "#include <sqlite3.h>", "belongs in queue"),
    ("submit/submit.c", "#include <curl/curl.h>", "belongs in submit/http"),
    ("intake/fields.c", "#  include <csv.h>", "belongs in intake/csv.c"),
    ("intake/csv.c", "#include <openssl/x509.h>", "belongs in submit"),
    ("queue/queue.c", "#include <yaml.h>", "belongs in config"),
    ("base/text.c", "#include <zlib.h>", "in no table"),
    ("base/text.c", '#include "base/missing.h"', "no header of ours"),
]


class IncludeRulesTest(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.copy = Path(folder.name) / "src"
        shutil.copytree(SRC, self.copy)
        self.before = set(include_rules.faults(self.copy))

    def test_each_planted_breach_is_seen(self) -> None:
        for file, line, said in PLANTED:
            with self.subTest(file=file, line=line):
                path = self.copy / file
                text = path.read_text()
                path.write_text(f"{line}\n{text}")
                found = set(include_rules.faults(self.copy)) - self.before
                path.write_text(text)
                self.assertTrue(any(f"src/{file}" in fault and said in fault for fault in found), found)

    def test_a_ring_of_folders_is_seen(self) -> None:
        (self.copy / "base/text.c").write_text('#include "queue/queue.h"\n')
        found = set(include_rules.faults(self.copy)) - self.before
        self.assertTrue(any("include each other" in fault and "base" in fault for fault in found), found)

    def test_a_new_folder_needs_its_rule(self) -> None:
        (self.copy / "extra").mkdir()
        (self.copy / "extra/new.c").write_text('#include "base/text.h"\n')
        self.assertIn("src/extra/new.c: the folder extra is in no table", include_rules.faults(self.copy))


if __name__ == "__main__":
    unittest.main()
