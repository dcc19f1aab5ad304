"""What README.md and docs/runbook.md show is so: each command is run in a bureau with real rows, keys and answers, and ends as is said there.

What only the host itself can do is not run, and stands in HOST with the reason. `systemctl stop` and its like are done by the harness.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path

import pki
from document_blocks import Command, commands_of, headings_of, links_of
from harness import Bureau, binary
from manifests import Manifest, Row
from scripted_api import ScriptedApi

ROOT = Path(__file__).resolve().parents[2]

# Commands that are not run here, and why.
HOST = {
    r"apt |dpkg |tools/deps\.sh|cpack ": "installs packages",
    r"tools/(demo|check)\.sh|cmake ": "is a test, or builds, itself",
    r"systemctl ": "needs a service manager",  # but for what SERVICE has
    r"systemd-(run|sysusers|tmpfiles|creds|analyze) |journalctl |timedatectl": "needs a service manager",
    r"install -[md].*(/usr/|/etc/systemd/|/etc/sysusers\.d/|/etc/tmpfiles\.d/| -[og] )|usermod ": "changes the host, and needs root",
    r"trackbridge check --unit \|": "changes the host, and needs root",
    r"fuser |rsync ": "is not installed everywhere",
    r"trackbridge status --watch": "draws until it is interrupted",
    r"less |man |editor ": "is for a person",
    r"install .* (CERTIFICATE|KEY) ": "names files that only the reader has; the runbook's are made and installed",
}
# What may be run, and only with paths inside the scene.
RUN = frozenset("trackbridge sqlite3 openssl install cp mv rm mkdir ls find df du chown cd umask".split())
SERVICE = re.compile(r"systemctl (start|stop|restart|reload|enable --now|disable --now) trackbridge$")

# What the documents name is the last of this.
MANIFEST, IN_DOUBT, FILLED = 12, (4711, 4712), 4710


def reason_not_to_run(command: str) -> str | None:
    if SERVICE.match(command):
        return None
    return next((why for pattern, why in HOST.items() if re.match(pattern, command)), None)


class Scene:
    """A bureau in which the documents' numbers and names are real. It is made once; `reset` brings it back to how it was."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="tb-documents-"))
        self.pki = self.folder / "pki"
        shutil.copytree(pki.shared(), self.pki)
        self.api = ScriptedApi(self.pki).start()
        self.bureau = Bureau(self.api, top={"stop_timeout": "60s"}, endpoint={"timeout": "10s", "retry": {"first": "100ms", "most": "1s"}})
        root = self.bureau.root
        self.places = {"/var/lib/trackbridge": self.bureau.state, "/etc/trackbridge": root / "etc", "/srv/trackbridge": root / "srv",
                       "/var/backups/trackbridge": root / "backups"}
        self.work, self.template = root / "work", self.folder / "template"
        self._configure(root)
        self._fill()

    def close(self) -> None:
        self.bureau.close()
        self.api.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _configure(self, root: Path) -> None:
        etc, lyon = root / "etc", root / "srv" / "lyon"
        for folder in (etc, lyon / "in", lyon / "out", root / "backups", root / "bin", self.work):
            folder.mkdir(parents=True)
        for theirs, ours in (("jwt.key", "d1-jwt.key"), ("client.pem", "d1-client.pem"), ("client.key", "d1-client.key")):
            shutil.copy(self.pki / theirs, etc / ours)
        endpoint, source = self.bureau.config["endpoints"][0], self.bureau.config["sources"][0]
        endpoint["jwt"]["key"] = str(etc / "d1-jwt.key")
        endpoint["tls"] |= {"certificate": str(etc / "d1-client.pem"), "key": str(etc / "d1-client.key")}
        source |= {"drop": str(lyon / "in"), "receipts": str(lyon / "out")}
        self.bureau.write_config()
        program = root / "bin" / "trackbridge"
        program.write_text(f'#!/bin/sh\nexec "{binary()}" -c "{self.bureau.config_path}" "$@"\n')
        program.chmod(0o755)
        for name in ("x.csv", "dispatch.csv"):
            (self.work / name).write_text(Manifest([Row("c-7f3a"), Row("c-7f3b", "PRODUCTION")]).text())

    def _fill(self) -> None:
        bureau = self.bureau
        kinds = [[Row("C-000183", "PRODUCTION")], *([Row(f"card-{n}")] for n in range(2, 9)), [], [Row("card-10")]]
        bureau.start(30)
        for number, rows in enumerate(kinds, 1):
            bureau.drop(f"m{number}.csv", Manifest(rows).text())
            bureau.wait_manifest(f"m{number}.csv", "settled", "rejected", seconds=30)
        there = len(bureau.rows())
        bureau.drop("m11.csv", Manifest([Row(f"f-{n}", "EMBOSSED") for n in range(FILLED - there)]).text())
        bureau.wait_manifest("m11.csv", seconds=90)
        rows = [Row("close-1"), Row("close-2"), Row("close-1", "RETURN"), Row("h400-1"), Row("good-1"), Row("nf-1"), Row("C-000183", "PRODUCTION"),
                Row("close-2", "RETURN")]
        bureau.drop(f"m{MANIFEST}.csv", Manifest(rows).text())
        bureau.wait(lambda: bureau.manifest("m12.csv")["in_doubt"] == 2 and bureau.manifest("m12.csv")["sending"] == 0, "rows in doubt", 30)
        bureau.wait(lambda: bureau.manifest("m12.csv")["queued"] == 2, "rows that wait for others", 30)
        assert bureau.manifest("m12.csv")["manifest_id"] == MANIFEST, bureau.manifests()
        assert tuple(row["row_id"] for row in bureau.rows("state = 'in_doubt'")) == IN_DOUBT, bureau.rows("state = 'in_doubt'")
        bureau.wait(lambda: (bureau.state / "archive").is_dir() and any((bureau.state / "archive").rglob("12-*")), "the archive", 30)
        bureau.stop()
        bureau.daemon = None
        shutil.copytree(bureau.root, self.template, ignore=shutil.ignore_patterns("notify", "*.sock", "log"))

    def reset(self) -> None:
        """As it was filled, with a daemon."""
        if self.is_running():
            self.bureau.stop(60)
        for folder in [*self.places.values(), self.work]:
            shutil.rmtree(folder)
            shutil.copytree(self.template / folder.name, folder)
        self.api.swap_key("jwt")
        self.cwd, self.umask, self.known = self.work, "0022", set()
        self.bureau.start(30)

    def is_running(self) -> bool:
        daemon = self.bureau.daemon
        return daemon is not None and daemon.poll() is None

    # -- commands

    def run(self, command: Command) -> tuple[int, str]:
        """Status and output."""
        text = command.text
        for place, here in self.places.items():
            text = text.replace(place, str(here))
        outside = [word for word in re.findall(r"(?:^|[\s='\"])(/[^\s'\"]*)", text) 
                   if not word.startswith((str(self.bureau.root), "/dev/null", "/O="))]
        if outside:
            return -1, f"would touch {outside}"
        if service := SERVICE.match(command.text):
            return self._service(service[1])
        if text.split()[0] not in RUN:
            return -1, "is neither run nor in HOST with the reason why not"
        if text.startswith("cd "):
            self.cwd = Path(text[3:])
            return (0, "") if self.cwd.is_dir() else (1, f"{self.cwd} is not there")
        if text.startswith("umask "):
            self.umask = text[6:]
            return 0, ""
        environment = self.bureau._environment() | {"PATH": f"{self.bureau.root}/bin:{os.environ['PATH']}"}
        done = subprocess.run(["bash", "-c", f"set -o pipefail; umask {self.umask}; {text}"], cwd=self.cwd, env=environment, stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=60)
        self._be_thales()
        if self.is_running():
            self.bureau.wait(lambda: all(m["state"] != "loading" for m in self.bureau.manifests()), "the end of loading", 30)
        return done.returncode, done.stdout + done.stderr

    def _service(self, word: str) -> tuple[int, str]:
        if word in ("stop", "restart", "disable --now") and self.is_running() and (status := self.bureau.stop(60)):
            return status, self.bureau.log_tail()
        if word in ("start", "restart", "enable --now") and not self.is_running():
            self.bureau.start(30)
        if word == "reload":
            before = self.bureau.notify.count("READY=1")
            os.kill(self.bureau.pid, 1)
            self.bureau.wait(lambda: self.bureau.notify.count("READY=1") > before, "READY=1 after a reload", 30)
        return 0, ""

    def _be_thales(self) -> None:
        """A public key that was made becomes the registered one, and a certificate request is signed."""
        for public in set(self.cwd.glob("*.pub")) - self.known:
            self.known.add(public)
            shutil.copy(public, self.pki / "onboarded.pub")
            self.api.swap_key("onboarded")
        for request in self.cwd.glob("*.csr"):
            certificate = request.with_suffix(".pem")
            if not certificate.exists():
                subprocess.run(["openssl", "x509", "-req", "-in", request, "-CA", self.pki / "ca.pem", "-CAkey", self.pki / "ca.key",
                                "-days", "365", "-set_serial", "4711", "-out", certificate], check=True, capture_output=True)


class DocumentsTest(unittest.TestCase):
    scene: Scene

    @classmethod
    def setUpClass(cls) -> None:
        cls.scene = Scene()
        cls.addClassCleanup(cls.scene.close)

    def run_all(self, name: str) -> None:
        commands = commands_of((ROOT / name).read_text(encoding="utf-8"))
        chapter, ran = None, 0
        for command in commands:
            if reason_not_to_run(command.text):
                continue
            if command.chapter != chapter:
                self.scene.reset()
                chapter = command.chapter
            status, output = self.scene.run(command)
            ran += 1
            with self.subTest(f"{name}:{command.line}"):
                self.assertIn(status, command.statuses, f"{command.text}\n{output[-2000:]}")
        self.assertGreater(ran, 8, f"hardly a command of {name} was found; has the way of writing them changed?")

    def test_the_commands_of_the_readme_end_as_it_says(self) -> None:
        self.run_all("README.md")

    def test_the_commands_of_the_runbook_end_as_it_says(self) -> None:
        self.run_all("docs/runbook.md")


class WordsTest(unittest.TestCase):
    """What can be looked up is there."""

    def test_each_link_inside_the_runbook_leads_somewhere(self) -> None:
        document = (ROOT / "docs" / "runbook.md").read_text(encoding="utf-8")
        self.assertEqual(links_of(document) - headings_of(document), set())

    def test_each_warning_and_error_of_the_log_is_in_the_runbook(self) -> None:
        runbook = (ROOT / "docs" / "runbook.md").read_text(encoding="utf-8")
        missing, seen = [], 0
        for path in sorted((ROOT / "src").rglob("*.c")):
            calls = re.findall(r'\blog_(?:write|fields)\(LOG_(?:WARNING|ERR),[^";]*?((?:"(?:[^"\\]|\\.)*"[\sA-Za-z0-9]*)+)', path.read_text())
            for call in calls:
                seen += 1
                text = "".join(re.findall(r'"((?:[^"\\]|\\.)*)"', re.sub(r"\b(?:PRI\w+|TRACKBRIDGE_VERSION)\b", '""', call)))
                words = max(re.split(r"%(?:zu|s|d|lld)?|[(:;]", text), key=len).strip()
                if len(words) >= 12 and words not in runbook:
                    missing.append(f"{path.name}: {words}")
        self.assertEqual(missing, [])
        self.assertGreater(seen, 20)

    def test_each_state_and_reason_is_in_the_runbook(self) -> None:
        runbook = (ROOT / "docs" / "runbook.md").read_text(encoding="utf-8")
        names = ("queued sending accepted refused in_doubt held expired cancelled rejected duplicate skipped loading released settled "
                 "operator refusals repeats restored outage credentials certificate redirect proxy waiting late removed").split()
        self.assertEqual([name for name in names if f"| `{name}` |" not in runbook], [])

    def test_each_exit_status_is_in_the_runbook_and_the_manual(self) -> None:
        header = (ROOT / "src" / "base" / "error.h").read_text()
        runbook, manual = (ROOT / "docs" / "runbook.md").read_text(), (ROOT / "docs" / "man" / "trackbridge.8").read_text()
        for status in re.findall(r"ERROR_\w+ = (\d+)", header):
            with self.subTest(status):
                self.assertIn(f"\n| {status} |", runbook)
                self.assertIn(f".It {status}\n", manual)

    def test_each_command_and_option_is_in_the_manual(self) -> None:
        manual = (ROOT / "docs" / "man" / "trackbridge.8").read_text()

        def help_of(*words: str) -> str:
            return subprocess.run([binary(), *words, "--help"], capture_output=True, text=True, check=True, timeout=20).stdout
        commands = re.findall(r"^  ([a-z]+) ", help_of(), re.MULTILINE)
        self.assertGreater(len(commands), 15)
        for command in commands:
            with self.subTest(command):
                self.assertRegex(manual, rf"(?m)^\.It Cm {command}\b")
                options = set(re.findall(r"--([a-z-]+)", help_of(command))) - {"config"}
                self.assertEqual(sorted(option for option in options if f"Fl -{option}" not in manual), [])


class ExamplesTest(unittest.TestCase):
    """Each file of config/examples reads the manifest beside it: what is sent of each line."""

    EXPECTED = {
        ("french-semicolon", "csv", "orleans"): {
            2: ('SHIPMENT', '"productionSite":"Orléans"', '"shipmentDate":"2026-11-22T15:40:00Z"', '"countryCode":"FR"'),
            3: ("PRODUCTION", "Orléans"), 4: None, 5: ("RETURN", "Orléans")},
        ("quoted-comma", "csv", "dublin"): {
            2: ("SHIPMENT", "Dublin, South", "2026-11-22T16:40:00Z", "BANKIE0001"), 4: ("PRODUCTION", "BANKIE0002")},
        ("headerless", "dat", "bern"): {
            1: ("SHIPMENT", "2026-11-22T11:00:00Z", '"countryCode":"CH"'), 2: ("PRODUCTION", "Bern"), 3: None, 4: ("PRODUCTION",)},
        ("tab-utf16", "txt", "newark"): {
            3: ("SHIPMENT", "9400 1000 0000 01", "2026-11-22T21:40:00Z"), 4: ("PRODUCTION", '"productionSite":""')},
        ("cumulative", "csv", "lille"): {
            2: ("SHIPMENT", "2026-11-22T17:00:00Z"), 3: None, 4: ("RETURN",), 5: "duplicate", 6: ("RETURN",)},
        ("date-only", "csv", "madrid"): {
            2: ("SHIPMENT", "2026-11-23T11:00:00Z"), 3: ("SHIPMENT", "2026-03-28T11:00:00Z"), 4: ("PRODUCTION",)},
        ("status-words", "csv", "wien"): {
            2: None, 3: ("PRODUCTION",), 4: None, 5: ("SHIPMENT", '"countryCode":"AT"', "2026-11-22T15:40:00Z"), 6: ("RETURN",), 7: None,
            8: ("PRODUCTION",)},
    }

    def test_there_is_an_expectation_for_each(self) -> None:
        there = {path.stem for path in (ROOT / "config" / "examples").iterdir()}
        self.assertEqual(there, {name for name, _, _ in self.EXPECTED})

    def test_each_makes_of_its_manifest_what_it_says(self) -> None:
        with tempfile.TemporaryDirectory(prefix="tb-examples-") as folder:
            for (name, ending, source), expected in self.EXPECTED.items():
                with self.subTest(name):
                    given = (ROOT / "config" / "examples" / f"{name}.yaml").read_text(encoding="utf-8")
                    config = Path(folder) / f"{name}.yaml"
                    config.write_text(f"state_dir: {folder}/state\n{given}", encoding="utf-8")
                    manifest = ROOT / "config" / "examples" / f"{name}.{ending}"
                    self.assertIn(f"explain --source {source} {manifest.name}", given)
                    done = subprocess.run([binary(), "-c", config, "explain", "--source", source, manifest, "--format", "json"],
                                          capture_output=True, text=True, timeout=20)
                    self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
                    rows = {row["line"]: row for row in json.loads(done.stdout)}
                    self.assertEqual(set(rows), set(expected))
                    for line, parts in expected.items():
                        row = rows[line]
                        if parts is None or isinstance(parts, str):
                            self.assertEqual(row["state"], parts or "skipped")
                            continue
                        self.assertEqual(row["state"], "queued")
                        for part in (f'"trackingType":"{parts[0]}"', *parts[1:]):
                            self.assertIn(part, f"{row['url']} {row['body']}")


if __name__ == "__main__":
    unittest.main()
