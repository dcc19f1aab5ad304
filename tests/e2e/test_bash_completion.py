"""What bash offers behind `trackbridge …`: commands, options, endpoints, sources and states."""

from __future__ import annotations

import shlex
import shutil
import subprocess
import unittest
from pathlib import Path

import manifests
from harness import STATES, Bureau, binary
from scripted_api import ScriptedApi

import pki

SCRIPT = Path(__file__).resolve().parents[2] / "completion" / "trackbridge"


@unittest.skipUnless(shutil.which("bash"), "there is no bash")
class CompletionTest(unittest.TestCase):
    bureau: Bureau

    @classmethod
    def setUpClass(cls) -> None:
        api = ScriptedApi(pki.shared()).start()
        cls.addClassCleanup(api.stop)
        cls.bureau = Bureau(api)
        cls.addClassCleanup(cls.bureau.close)
        cls.bureau.drop("a.csv", manifests.realistic(1))
        assert cls.bureau.until_idle() == 0

    def offered(self, *words: str) -> set[str]:
        """Behind the last of the words, which may be begun or empty."""
        line = [binary(), "-c", str(self.bureau.config_path), *words]
        array = " ".join(shlex.quote(word) for word in line)
        script = f'. {shlex.quote(str(SCRIPT))}; COMP_WORDS=({array}); COMP_CWORD={len(line) - 1}; _trackbridge; printf "%s\\n" "${{COMPREPLY[@]}}"'
        done = subprocess.run(["bash", "--norc", "-c", script], capture_output=True, text=True, cwd=self.bureau.root, check=True)
        self.assertEqual(done.stderr, "")
        return set(done.stdout.split())

    def test_every_command(self) -> None:
        self.assertLessEqual({"run", "check", "status", "list", "resolve", "backup", "purge"}, self.offered(""))
        self.assertEqual(self.offered("rece"), {"receipt"})

    def test_the_options_of_a_command(self) -> None:
        self.assertLessEqual({"--online", "--unit", "--help"}, self.offered("check", "--"))
        self.assertLessEqual({"--accepted", "--resend", "--operation-id", "--row", "--all", "--reason"}, self.offered("resolve", "--"))
        self.assertEqual(self.offered("run", "--unt"), {"--until-idle"})

    def test_states(self) -> None:
        self.assertEqual(self.offered("list", "--state", ""), set(STATES))
        self.assertEqual(self.offered("manifests", "--state", "re"), {"released", "rejected"})

    def test_endpoints_and_sources(self) -> None:
        self.assertEqual(self.offered("pause", ""), {"bankfr"})
        self.assertEqual(self.offered("list", "--source", "l"), {"lyon"})

    def test_formats(self) -> None:
        self.assertEqual(self.offered("list", "--format", ""), {"table", "json", "csv"})
        self.assertEqual(self.offered("status", "--format", ""), {"table", "json"})

    def test_files(self) -> None:
        self.assertIn("trackbridge.yaml", self.offered("explain", "track"))

    def test_free_text_is_left_alone(self) -> None:
        self.assertEqual(self.offered("hold", "--reason", ""), set())


if __name__ == "__main__":
    unittest.main()
