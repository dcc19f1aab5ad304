"""The commands beside the daemon: what they print, that it is what the views and a run say, and how they end."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import re
import shutil
import subprocess
import unittest
from pathlib import Path
from typing import Any

import manifests
from behaviours import status as answered
from harness import STATES, Bureau, View, binary, seconds_of
from manifests import Manifest, Row
from scripted_api import ScriptedApi
from test_answers import Scene

USAGE, DATA, NO_INPUT, UNAVAILABLE, IO, TRY_LATER, CONFIG = 64, 65, 66, 69, 74, 75, 78  # sysexits.h

HEADER = ";".join(manifests.COLUMNS) + "\r\n"
CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def raw(bureau: Bureau, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    """A command's output in its own bytes, line ends included."""
    environment = {name: value for name, value in os.environ.items() if name != "CREDENTIALS_DIRECTORY"}
    return subprocess.run([binary(), "-c", str(bureau.config_path), *arguments], stdin=subprocess.DEVNULL, capture_output=True,
                          env=environment, cwd=bureau.root, timeout=20)


def from_json(done: subprocess.CompletedProcess[bytes]) -> Any:
    return json.loads(done.stdout.decode("utf-8"))


def from_csv(done: subprocess.CompletedProcess[bytes]) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(done.stdout.decode("utf-8"), newline=""), strict=True))


def from_table(text: str) -> list[dict[str, str]]:
    """The cells of a table, each under the name that begins above it."""
    header, *lines = text.split("\n")[:-1]
    names = [(match[0], match.start()) for match in re.finditer(r"\S+", header)]
    ends = [start for _, start in names[1:]] + [None]
    return [{name: line[start:end].strip() for (name, start), end in zip(names, ends)} for line in lines]


def as_text(row: View) -> dict[str, str]:
    return {name: "" if value is None else str(value) for name, value in row.items()}


def as_cells(row: View) -> dict[str, str]:
    """As a table shows it: control characters as \\xNN."""
    return {name: CONTROL.sub(lambda match: f"\\x{ord(match[0]):02X}", value).strip() for name, value in as_text(row).items()}


def without_times(text: str) -> str:
    return re.sub(r"\d{4}-\d\d-\d\dT[\d:.]+Z", "TIME", text)


class ExplainTest(Scene):
    def explain(self, bureau: Bureau, path: Path, *more: str, status: int = 0) -> list[View]:
        done = raw(bureau, "explain", str(path), "--format", "json", *more)
        self.assertEqual(done.returncode, status, done.stderr.decode())
        found: list[View] = from_json(done)
        self.assertEqual([r for r in found if list(r) != ["line", "state", "method", "url", "body", "column", "reason"]], [])
        return found

    def beside(self, bureau: Bureau, name: str, content: str | bytes) -> Path:
        """A file in no drop directory."""
        path = bureau.root / name
        path.write_bytes(content.encode("utf-8") if isinstance(content, str) else content)
        return path

    ROWS = (
        b"card-1;SHIPPED;Lyon;6A 1;69001;FR;20/11/2026 14:30",
        b"card-1;PRODUCED;K\xc3\xb6ln-S\xc3\xbcd;;;;",
        b"card-2;RTS;;;;;",
        b"card-3;EMBOSSED;Lyon;;;;",
        b"card-4;LOST;Lyon;;;;",
        b";SHIPPED;Lyon;6A 1;69001;FR;20/11/2026 14:30",
        b"card 5;PRODUCED;Lyon;;;;",
        b"card-6;SHIPPED;Lyon;6A 1;69001;FR;30/02/2026 14:30",
        b"card-7;SHIPPED;Lyon;6A 1;69001;FR;25/10/2026 02:30",
        b"card-1;SHIPPED;Lyon;6A 1;69001;FR;20/11/2026 14:30",
        b"  card-8 ;SHIPPED; Tours ;6A 2;w1a 1aa;FRANCE;29/02/2028 23:59",
        b"card-9;SHIPPED;Lyon;;69001;FR;20/11/2026 14:30",
        b"card-10;SHIPPED;Lyon",
        b"card-11;PRODUCED;\xff\xfe;;;;",
        b"",
        b"card-12;PRODUCED;\"Ly\"\"on; \\ 1\";;;;",
        b"card-13;SHIPPED;Lyon;6A 1;;;20/11/2026 14:30;;",
    )

    def test_it_agrees_row_by_row_with_what_a_run_then_does(self) -> None:
        bureau = self.scene()
        content = HEADER.encode() + b"".join(row + b"\r\n" for row in self.ROWS)
        told = self.explain(bureau, self.beside(bureau, "a.csv", content), status=DATA)
        bureau.drop("a.csv", content, events=[])
        self.assertEqual(bureau.until_idle(), DATA)
        rows = bureau.rows()
        becomes = {"queued": "accepted"}
        self.assertEqual([(t["line"], becomes.get(t["state"], t["state"])) for t in told], [(r["line"], r["state"]) for r in rows])
        self.assertEqual({t["state"] for t in told}, {"queued", "rejected", "skipped", "duplicate"})
        lines = {row["row_id"]: row["line"] for row in rows}
        for one, row in zip(told, rows):
            with self.subTest(line=one["line"], state=one["state"]):
                self.assertEqual(one["method"], "POST" if one["state"] == "queued" else None)
                if one["state"] == "queued":
                    request, = [r for r in self.api_of(bureau).of_card(row["card_id"]) if r.type == row["tracking_type"]]
                    self.assertEqual(one["body"], request.body)
                    self.assertEqual(one["url"], f"{bureau.url}/banking/v1/issuers/{request.issuer}/physicalCards/{request.card}/track")
                elif one["state"] == "rejected":
                    self.assertEqual((f"{one['column']}: " if one["column"] else "") + one["reason"], row["detail"])
                elif one["state"] == "duplicate":
                    number = re.fullmatch(r"row (\d+) accepted", row["detail"])
                    assert number
                    self.assertEqual(one["reason"], f"line {lines[int(number[1])]} of this file")

    def test_a_reason_names_the_column_and_what_is_wrong(self) -> None:
        bureau = self.scene()
        content = HEADER.encode() + b"".join(row + b"\r\n" for row in self.ROWS)
        told = {one["line"]: one for one in self.explain(bureau, self.beside(bureau, "a.csv", content), status=DATA)}
        for line, column, words in ((6, "STATUS", "LOST"), (7, "CARD_REF", "empty"), (9, "SHIP_DATE", "30/02/2026"),
                                    (10, "SHIP_DATE", "twice"), (13, "TRACK_NO", ""), (15, "SITE", "")):
            with self.subTest(line=line):
                self.assertEqual(told[line]["column"], column)
                self.assertIn(words, told[line]["reason"])

    def test_all_formats_say_the_same(self) -> None:
        bureau = self.scene()
        path = self.beside(bureau, "a.csv", HEADER.encode() + b"".join(row + b"\r\n" for row in self.ROWS))
        told = self.explain(bureau, path, status=DATA)
        done = raw(bureau, "explain", str(path), "--format", "csv")
        self.assertEqual((done.returncode, from_csv(done)), (DATA, [as_text(one) for one in told]))
        done = raw(bureau, "explain", str(path))
        lines = done.stdout.decode().split("\n")[1:-1]
        self.assertEqual((done.returncode, len(lines)), (DATA, len(told)))
        for line, one in zip(lines, told):
            shown = f"POST {one['url']} {one['body']}" if one["state"] == "queued" else one["reason"] or ""
            self.assertIn(shown, line)
            self.assertEqual(line.split()[:2], [str(one["line"]), one["state"]])

    def test_a_manifest_that_is_rejected_whole_is_told_with_its_reason(self) -> None:
        good = manifests.realistic(30).text()
        pan = "4111111111111111"
        cases = {
            "quote": ({}, HEADER + 'card-1;SHIPPED;"Lyon;1;;;20/11/2026 14:30\r\n'),
            "inside": ({}, HEADER + 'card-1;SHIPPED;Ly"on;1;;;20/11/2026 14:30\r\n'),
            "empty": ({}, HEADER),
            "nothing": ({}, ""),
            "column": ({}, good.replace("TRACK_NO", "TRACKING")),
            "doubled": ({}, good.replace("TRACK_NO", "CARD_REF", 1)),
            "trailer": ({"trailer": {"first_column": "TRL", "count_column": 2}}, good + "TRL;29\r\n"),
            "missing": ({"trailer": {"first_column": "TRL", "count_column": 2}}, good),
            "behind": ({"trailer": {"first_column": "TRL", "count_column": 2}}, good + "TRL;30\r\ncard-x;RTS;Lyon;;;;\r\n"),
            "pan": ({}, HEADER + f"{pan};RTS;Lyon;;;;\r\n" * 25),
            "file": ({"invalid_rows": "reject_file"}, good + "card-x;LOST;Lyon;;;;\r\n"),
        }
        bureau = self.scene(sources=[{"name": name} | changes for name, (changes, _) in cases.items()])
        told = {}
        for n, (name, (_, content)) in enumerate(cases.items()):
            path = bureau.drop(f"{name}.csv", content, source=n, events=[])
            done = raw(bureau, "explain", str(path), "--format", "json")
            told[name] = done.returncode, done.stderr.decode()
        self.assertEqual(bureau.until_idle(), DATA)
        for name, (status, text) in told.items():
            with self.subTest(name):
                manifest = bureau.manifest(f"{name}.csv")
                self.assertEqual((status, manifest["state"], manifest["rows"]), (DATA, "rejected", manifest["rejected"]))
                self.assertTrue(manifest["reason"])
                self.assertIn(manifest["reason"], text)
        self.assertEqual(self.api_of(bureau).requests, [])

    def test_history_makes_duplicates_by_the_rules_of_a_run(self) -> None:
        bureau = self.scene()
        bureau.drop("a.csv", Manifest([Row("card-1"), Row("card-2", "PRODUCTION"), Row("h400-1"), Row("h400-2"), Row("close-1")]))
        self.assertEqual(bureau.until_idle(), DATA)
        later = Manifest([Row("card-1"), Row("card-1", site="Tours"), Row("card-2", "PRODUCTION"), Row("h400-1"),
                          Row("h400-2", site="Tours"), Row("close-1"), Row("card-9")])
        told = self.explain(bureau, self.beside(bureau, "b.csv", later.text()))
        bureau.drop("b.csv", later)
        bureau.until_idle()
        rows = bureau.rows("manifest = 'b.csv'")
        self.assertEqual([t["state"] for t in told], ["duplicate", "queued", "duplicate", "duplicate", "queued", "duplicate", "queued"])
        self.assertEqual([t["state"] == "duplicate" for t in told], [r["state"] == "duplicate" for r in rows])
        self.assertEqual([t["reason"] for t in told if t["state"] == "duplicate"], [r["detail"] for r in rows if r["state"] == "duplicate"])
        self.assertIn("row 5 in_doubt", [t["reason"] for t in told])

    def test_the_same_bytes_as_an_earlier_manifest_are_told(self) -> None:
        bureau = self.scene()
        text = manifests.realistic(5).text()
        bureau.drop("a.csv", text)
        self.assertEqual(bureau.until_idle(), 0)
        done = raw(bureau, "explain", str(self.beside(bureau, "b.csv", text)), "--format", "json")
        self.assertEqual((done.returncode, {one["state"] for one in from_json(done)}), (0, {"duplicate"}))
        self.assertIn("same bytes as manifest 1", done.stderr.decode())

    def test_the_source_is_chosen_by_directory_then_name_then_option(self) -> None:
        tours = {"name": "tours", "match": ["*.csv", "t-*.txt"], "fields": {"productionSite": {"column": "SITE", "map": {"Lyon": "Tours"}}}}
        bureau = self.scene(sources=[{}, tours])
        text = manifests.cards(["card-1"]).text()
        ambiguous = self.beside(bureau, "a.csv", text)
        done = raw(bureau, "explain", str(ambiguous))
        self.assertEqual((done.returncode, done.stdout), (USAGE, b""))
        self.assertIn("--source", done.stderr.decode())

        def site(path: Path, *more: str) -> str:
            return str(json.loads(self.explain(bureau, path, *more)[0]["body"])["productionSite"])
        self.assertEqual(site(ambiguous, "--source", "lyon"), "Lyon")
        self.assertEqual(site(ambiguous, "--source", "tours"), "Tours")
        self.assertEqual(site(self.beside(bureau, "t-1.txt", text)), "Tours")
        self.assertEqual(site(bureau.drop("b.csv", text, source=1)), "Tours")
        done = raw(bureau, "explain", str(ambiguous), "--source", "tuors")
        self.assertEqual(done.returncode, USAGE)

    def test_what_cannot_be_read_is_no_input(self) -> None:
        bureau = self.scene()
        for path in (bureau.root / "none.csv", bureau.root):
            done = raw(bureau, "explain", str(path))
            self.assertEqual((done.returncode, done.stdout), (NO_INPUT, b""))

    def test_it_changes_nothing(self) -> None:
        bureau = self.scene()

        def there() -> dict[str, tuple[int, int, str]]:
            # -shm is left out: it is SQLite's bookkeeping of readers, not content.
            return {str(p): (p.stat().st_mode, p.stat().st_mtime_ns, hashlib.sha256(p.read_bytes()).hexdigest())
                    for p in sorted(bureau.root.rglob("*")) if p.is_file() and p.suffix != ".db-shm"}
        path = self.beside(bureau, "b.csv", manifests.realistic(20).text())
        before = there()
        self.explain(bureau, path)
        self.assertEqual((list(bureau.state.iterdir()), there()), ([], before))
        bureau.drop("a.csv", manifests.realistic(10))
        self.assertEqual(bureau.until_idle(), 0)
        api = self.api_of(bureau)
        before, connections = there(), api.connections
        self.explain(bureau, path)
        self.assertEqual((there(), api.connections), (before, connections))
        self.assertFalse((bureau.root / "control.sock").exists())

    def test_it_opens_no_socket(self) -> None:
        if not shutil.which("strace"):
            self.skipTest("needs strace")
        if b"__asan_init" in Path(binary()).read_bytes():
            self.skipTest("AddressSanitizer and strace do not go together")
        bureau = self.scene()
        path = self.beside(bureau, "a.csv", manifests.realistic(3).text())
        trace = bureau.root / "trace"
        done = subprocess.run(["strace", "-f", "-o", str(trace), "-e", "trace=socket,connect", binary(), "-c", str(bureau.config_path),
                               "explain", str(path)], capture_output=True, text=True, timeout=20)
        if done.returncode != 0 and "PTRACE" in done.stderr.upper():
            self.skipTest("strace is not permitted here")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual([line for line in trace.read_text().splitlines() if "socket(" in line or "connect(" in line], [])


class CheckTest(Scene):
    def own_keys(self, bureau: Bureau) -> Path:
        """The bureau with a copy of the keys that a test may spoil."""
        keys = bureau.root / "keys"
        shutil.copytree(bureau.pki, keys)
        one = bureau.config["endpoints"][0]
        one["jwt"]["key"] = str(keys / "jwt.key")
        one["tls"] |= {"certificate": str(keys / "client.pem"), "key": str(keys / "client.key")}
        bureau.write_config()
        return keys

    def check(self, bureau: Bureau, *more: str) -> tuple[int, dict[str, list[str]]]:
        """The exit status, and what was found by level."""
        done = raw(bureau, "check", *more)
        self.assertEqual(done.stderr, b"")
        found: dict[str, list[str]] = {"ok": [], "warning": [], "error": []}
        for line in done.stdout.decode().splitlines():
            level, text = line.split(None, 1)
            found[level].append(text)
        return done.returncode, found

    def finds(self, bureau: Bureau, status: int, *words: str, more: tuple[str, ...] = ()) -> None:
        code, found = self.check(bureau, *more)
        self.assertEqual((code, len(found["error"])), (status, 1), found)
        for word in words:
            self.assertIn(word, found["error"][0])

    def test_a_good_installation_has_no_error(self) -> None:
        bureau = self.scene()
        code, found = self.check(bureau)
        self.assertEqual((code, found["error"]), (0, []))
        for what in ("configuration", "state directory", "endpoint bankfr", "source lyon", "database"):
            self.assertTrue(any(text.startswith(f"{what}: ") for text in found["ok"]), f"{what} in {found}")
        bureau.drop("a.csv", manifests.realistic(3))
        self.assertEqual(bureau.until_idle(), 0)
        self.assertEqual(self.check(bureau)[0], 0)
        self.assertEqual(len(self.api_of(bureau).token_requests), 1)

    def test_it_makes_nothing(self) -> None:
        bureau = self.scene()
        before = sorted(bureau.root.rglob("*"))
        self.check(bureau)
        self.assertEqual(sorted(bureau.root.rglob("*")), before)
        self.assertEqual(self.api_of(bureau).connections, 0)

    def test_a_source_whose_events_have_no_date_is_pointed_out(self) -> None:
        bureau = self.scene(sources=[{}, {"name": "tours", "identity": ["SHIP_DATE"]}])
        _, found = self.check(bureau)
        self.assertEqual([text.split(":")[0] for text in found["warning"] if "identity" in text], ["source lyon"])

    def test_a_key_that_others_can_read_is_refused(self) -> None:
        bureau = self.scene()
        keys = self.own_keys(bureau)
        for name in ("jwt.key", "client.key"):
            with self.subTest(name):
                (keys / name).chmod(0o644)
                self.finds(bureau, CONFIG, name)
                run = bureau.spawn("run", notify=False)
                self.assertEqual(run.wait(10), CONFIG)
                (keys / name).chmod(0o600)
        self.assertIn("client.key", bureau.log)

    def test_a_key_of_another_certificate_is_found(self) -> None:
        bureau = self.scene()
        keys = self.own_keys(bureau)
        shutil.copy(keys / "other-client.key", keys / "client.key")
        self.finds(bureau, CONFIG, "client.key", "client.pem")

    def test_a_key_that_is_none_is_found(self) -> None:
        bureau = self.scene()
        keys = self.own_keys(bureau)
        (keys / "jwt.key").write_text("no key\n")
        self.finds(bureau, CONFIG, "jwt.key")

    def test_an_expired_certificate_is_an_error(self) -> None:
        bureau = self.scene()
        keys = self.own_keys(bureau)
        for suffix in ("pem", "key"):
            shutil.copy(keys / f"expired-client.{suffix}", keys / f"client.{suffix}")
        self.finds(bureau, CONFIG, "expired", "2020-02-01")

    def test_a_certificate_of_under_30_days_is_a_warning(self) -> None:
        bureau = self.scene()
        keys = self.own_keys(bureau)
        subprocess.run(["openssl", "req", "-x509", "-new", "-key", "client.key", "-days", "10", "-subj", "/CN=soon", "-out", "client.pem"],
                       cwd=keys, check=True, capture_output=True)
        code, found = self.check(bureau)
        self.assertEqual((code, found["error"]), (0, []))
        self.assertEqual(len([text for text in found["warning"] if "expires" in text and re.search(r"in (9|10) days", text)]), 1, found)

    def test_the_same_is_told_by_status_and_in_the_log_of_a_running_daemon(self) -> None:
        bureau = self.scene()
        bureau.start()
        self.assertEqual(from_json(raw(bureau, "status", "--format", "json"))["warnings"], [])
        self.assertNotIn("certificate", raw(bureau, "status").stdout.decode() + bureau.log)
        bureau.stop()
        subprocess.run(["openssl", "req", "-x509", "-new", "-key", "client.key", "-days", "10", "-subj", "/CN=soon", "-out", "client.pem"],
                       cwd=self.own_keys(bureau), check=True, capture_output=True)
        bureau.start()
        bureau.wait(lambda: "client.pem ends at" in bureau.log, "a line about the certificate")
        warnings = bureau.wait(lambda: from_json(raw(bureau, "status", "--format", "json"))["warnings"], "a warning")
        self.assertRegex(warnings[0]["text"], r"^endpoint bankfr: the client certificate ends at 20\S+Z, in (9|10) days$")
        self.assertEqual((warnings[0]["level"], warnings[0]["what"]), ("warning", "certificate"))
        told = warnings[0]["text"].rpartition(" in ")[0]  # a day may end between the two
        self.assertIn(f"warning    {told} in ", raw(bureau, "status").stdout.decode())

    def test_a_directory_that_is_missing_is_found(self) -> None:
        bureau = self.scene()
        bureau.in_directory.rmdir()
        self.finds(bureau, NO_INPUT, str(bureau.in_directory))
        bureau.in_directory.mkdir()
        bureau.out_directory.rmdir()
        self.finds(bureau, NO_INPUT, str(bureau.out_directory))

    def test_too_little_space_is_found(self) -> None:
        bureau = self.scene(top={"min_free_space": "1000GiB"})
        if shutil.disk_usage(bureau.state).free >= 1000 << 30:
            self.skipTest("this disk is too large for the largest min_free_space")
        self.finds(bureau, TRY_LATER, "min_free_space")

    def test_online_fetches_a_token_from_each_endpoint(self) -> None:
        bureau = self.scene()
        code, found = self.check(bureau, "--online")
        self.assertEqual((code, found["error"]), (0, []))
        self.assertTrue(any("token" in text for text in found["ok"]))
        api = self.api_of(bureau)
        self.assertEqual((len(api.token_requests), api.requests, api.bad), (1, [], []))

    def test_online_tells_what_an_endpoint_said_instead(self) -> None:
        bureau = self.scene()
        api = self.api_of(bureau)
        for behaviour, words in (("401", "credentials"), ("invalid_grant", "credentials"), ("redirect", "redirect"), ("500", "outage"),
                                 ("garbage", "outage")):
            with self.subTest(behaviour):
                api.set_token_behaviour(behaviour)
                self.finds(bureau, UNAVAILABLE, words, more=("--online",))
        api.set_token_behaviour("ok")
        api.swap_certificate("other-server")
        self.finds(bureau, UNAVAILABLE, "certificate", more=("--online",))
        api.set_down(True)
        self.finds(bureau, UNAVAILABLE, "outage", more=("--online",))

    def test_a_wrong_key_is_told_online(self) -> None:
        bureau = self.scene()
        keys = self.own_keys(bureau)
        shutil.copy(keys / "other-jwt.key", keys / "jwt.key")
        self.assertEqual(self.check(bureau)[0], 0)
        self.finds(bureau, UNAVAILABLE, "credentials", more=("--online",))


class ListingTest(unittest.TestCase):
    """Reading commands against the views, on a database with as many kinds of rows and names as can be had."""

    NAMES = ("line\nfeed\x1b[31m.csv", os.fsdecode(b"\xff\xfe-latin.csv"), "=1+1.csv", 'na\u00efve "q", x.csv', "a  b\tc.csv", "-rf.csv")

    api: ScriptedApi
    bureau: Bureau

    @classmethod
    def setUpClass(cls) -> None:
        cls.api = ScriptedApi().start()
        cls.addClassCleanup(cls.api.stop)
        cls.bureau = bureau = Bureau(cls.api, sources=[{}, {"name": "tours"}], endpoint={"retry": {"first": "20ms", "most": "100ms"}})
        cls.addClassCleanup(bureau.close)
        cls.api.on_track(lambda r: answered(400, body=b'{"errorCode":"=SUM(1)"}') if r.card == "formula-1" else None)
        many = [Row(f"card-{i}", kind) for kind in ("PRODUCTION", "SHIPMENT", "RETURN") for i in range(8)]
        odd = [Row("h400-1"), Row("close-1", "PRODUCTION"), Row("close-1", "SHIPMENT"), Row("stale-1"), Row("noid-1"), Row("oddcode-1"),
               Row("formula-1"), Row("card-0", "PRODUCTION")]
        bureau.drop("a.csv", Manifest([*many, *odd]).text() + "card-x;EMBOSSED;Lyon;;;;\r\n=x y;LOST;Lyon;;;;\r\n", events=[])
        bureau.until_idle()
        for n, name in enumerate(cls.NAMES):
            bureau.drop(name, manifests.cards([f"hostile-{n}"]), source=1)
        bureau.drop("broken.csv", HEADER + 'card-1;SHIPPED;"Lyon', events=[], source=1)
        bureau.drop("again.csv", manifests.cards(["hostile-0"]), source=1)
        bureau.until_idle()

    def ask(self, *arguments: str) -> subprocess.CompletedProcess[bytes]:
        done = raw(self.bureau, *arguments)
        self.assertEqual((done.returncode, done.stderr), (0, b""), arguments)
        return done

    def same(self, expected: list[View], *arguments: str) -> None:
        """The command says what the view says, in all three formats."""
        self.assertEqual(from_json(self.ask(*arguments, "--format", "json")), expected)
        self.assertEqual(from_csv(self.ask(*arguments, "--format", "csv")), [as_text(row) for row in expected])
        text = self.ask(*arguments, "--format", "table").stdout.decode("utf-8")
        self.assertEqual(CONTROL.sub("", text), text.replace("\n", ""))
        found = from_table(text)
        self.assertEqual(found, [{name: as_cells(row)[name] for name in found[0]} for row in expected])
        self.assertEqual(self.ask(*arguments).stdout.decode("utf-8"), text)

    def test_there_is_something_to_list(self) -> None:
        self.assertEqual(set(self.bureau.states()), {"queued", "accepted", "refused", "in_doubt", "rejected", "duplicate", "skipped"})
        self.assertEqual({m["state"] for m in self.bureau.manifests()}, {"released", "settled", "rejected", "duplicate"})

    def test_list_without_a_filter(self) -> None:
        self.same(self.bureau.rows(), "list")

    def test_list_by_state(self) -> None:
        for state in STATES:
            with self.subTest(state):
                self.same(self.bureau.rows("state = ?", state), "list", "--state", state)

    def test_list_by_manifest(self) -> None:
        for manifest in self.bureau.manifests():
            number = manifest["manifest_id"]
            with self.subTest(number):
                self.same(self.bureau.rows("manifest_id = ?", number), "list", "--manifest", str(number))
        self.same([], "list", "--manifest", "999")

    def test_list_by_card(self) -> None:
        for card in ("card-0", "close-1", "nobody", "hostile-0"):
            with self.subTest(card):
                self.same(self.bureau.rows("card_id = ?", card), "list", "--card", card)

    def test_list_by_source(self) -> None:
        for source in ("lyon", "tours", "nowhere"):
            with self.subTest(source):
                self.same(self.bureau.rows("source = ?", source), "list", "--source", source)

    def test_list_by_operation_id(self) -> None:
        for request in self.api.requests[::5]:
            if request.operationId:
                self.same(self.bureau.rows("operation_id = ?", request.operationId), "list", "--operation-id", request.operationId)
        self.same([], "list", "--operation-id", "none")

    def test_list_since(self) -> None:
        seconds = sorted({row["queued_at"][:19] for row in self.bureau.rows()})
        for second in (*seconds, "2020-01-01T00:00:00", "2100-01-01T00:00:00"):
            with self.subTest(second):
                self.same(self.bureau.rows("queued_at >= ?", f"{second}.000Z"), "list", "--since", f"{second}Z")
        self.same(self.bureau.rows(), "list", "--since", "2h")
        self.same(self.bureau.rows(), "list", "--since", "2020-02-29")

    def test_list_with_a_limit(self) -> None:
        rows = self.bureau.rows()
        for limit in (1, 7, len(rows), len(rows) + 1):
            self.same(rows[:limit], "list", "--limit", str(limit))

    def test_filters_add_up(self) -> None:
        self.same(self.bureau.rows("state = 'accepted' AND manifest_id = 1 AND card_id = 'card-1'")[:2],
                  "list", "--state", "accepted", "--manifest", "1", "--card", "card-1", "--limit", "2", "--source", "lyon", "--since", "1h")
        self.same([], "list", "--source", "tours", "--manifest", "1")

    def test_bad_values_are_usage_and_print_nothing(self) -> None:
        for arguments in (("--state", "acepted"), ("--manifest", "0"), ("--manifest", "x"), ("--limit", "-1"), ("--limit", "1x"),
                          ("--since", "2026-02-30"), ("--since", "yesterday"), ("--format", "xml"), ("--state",), ("surplus",)):
            with self.subTest(arguments):
                done = raw(self.bureau, "list", *arguments)
                self.assertEqual((done.returncode, done.stdout), (USAGE, b""))
        self.assertIn("accepted", raw(self.bureau, "list", "--state", "acepted").stderr.decode())

    def test_manifests(self) -> None:
        every = self.bureau.manifests()
        self.same(every, "manifests")
        self.same(every[:2], "manifests", "--limit", "2")
        for state in ("loading", "released", "settled", "rejected", "duplicate"):
            self.same([m for m in every if m["state"] == state], "manifests", "--state", state)
        for source in ("lyon", "tours", "nowhere"):
            self.same([m for m in every if m["source"] == source], "manifests", "--source", source)
        for second in sorted({m["received_at"][:19] for m in every}):
            since = [m for m in every if (m["released_at"] or m["received_at"]) >= f"{second}.000Z"]
            self.same(since, "manifests", "--since", f"{second}Z")

    def test_hostile_names_are_shown_without_harm(self) -> None:
        names = {m["name"] for m in self.bureau.manifests()}
        shown = {"line\\x0Afeed\\x1B[31m.csv", "\\xFF\\xFE-latin.csv", "=1+1.csv", 'na\u00efve "q", x.csv', "a  b\\x09c.csv", "-rf.csv"}
        self.assertLessEqual(shown, names)

    def test_card(self) -> None:
        for card in ("card-0", "close-1", "nobody"):
            self.same(self.bureau.rows("card_id = ?", card), "card", card)
        self.same(self.bureau.rows("card_id = ?", "=x y"), "card", "=x y")

    def test_show(self) -> None:
        bodies = {(r.card, r.type): (r.body, r) for r in self.api.requests}
        for row in self.bureau.rows():
            with self.subTest(row["card_id"], state=row["state"]):
                shown = from_json(self.ask("show", str(row["row_id"]), "--format", "json"))
                history = self.bureau.attempts(row["row_id"])
                self.assertEqual({name: shown[name] for name in row}, row)
                self.assertEqual(shown["attempt_history"], history)
                body, request = bodies.get((row["card_id"], row["tracking_type"]), (None, None))
                if row["attempts"] and request:
                    self.assertEqual((shown["body"], shown["path"]),
                                     (body, f"/issuers/{request.issuer}/physicalCards/{request.card}/track"))
                if row["state"] in ("rejected", "skipped"):
                    self.assertIsNone(shown["body"])

    def test_show_as_text(self) -> None:
        row = self.bureau.row("stale-1")
        text = self.ask("show", str(row["row_id"])).stdout.decode()
        self.assertEqual(CONTROL.sub("", text), text.replace("\n", ""))
        top, _, attempts = text.partition("\n\n")
        pairs = dict((line.split(None, 1) + [""])[:2] for line in top.split("\n"))
        self.assertEqual({name: pairs[name] for name in row}, as_cells(row))
        self.assertEqual([line["outcome"] for line in from_table(attempts)], ["back", "accepted"])

    def test_show_of_no_row(self) -> None:
        self.assertEqual(raw(self.bureau, "show", "999").returncode, NO_INPUT)
        for arguments in (("x",), ("0",), (), ("1", "2"), ("1", "--format", "csv")):
            self.assertEqual(raw(self.bureau, "show", *arguments).returncode, USAGE)

    def test_status_agrees_with_the_views(self) -> None:
        told = from_json(self.ask("status", "--format", "json"))
        states = self.bureau.states()
        self.assertEqual((told["daemon"], told["pid"]), ("stopped", None))
        self.assertEqual(told["rows"], {"all": sum(states.values())} | {state: states.get(state, 0) for state in STATES})
        for state in ("loading", "released", "settled", "rejected", "duplicate"):
            self.assertEqual(told["manifests"][state], sum(m["state"] == state for m in self.bureau.manifests()))
        self.assertEqual((told["endpoints"], told["sources"]), (self.bureau.endpoints(), self.bureau.sources()))
        self.assertEqual(told["oldest_waiting"]["manifest_id"], self.bureau.row("close-1", "SHIPMENT")["manifest_id"])

    def test_status_as_text(self) -> None:
        text = self.ask("status").stdout.decode()
        self.assertIn("not running", text)
        for state, n in self.bureau.states().items():
            self.assertIn(f"{state} {n}", text)
        for name in ("bankfr", "lyon", "tours"):
            self.assertIn(name, text)
        self.assertNotIn("\x1b", text)

    def test_a_reader_that_goes_away_is_no_trouble(self) -> None:
        rows = len(self.bureau.rows())
        self.assertGreater(rows, 30)
        for form in ("table", "json", "csv"):
            done = subprocess.run(["bash", "-c", 'set -o pipefail; "$0" -c "$1" list --format "$2" | head -1', binary(),
                                   str(self.bureau.config_path), form], capture_output=True, text=True, timeout=20)
            self.assertEqual((done.stderr, len(done.stdout.splitlines())), ("", 1))

    def test_output_that_cannot_be_written_is_an_error(self) -> None:
        if not os.path.exists("/dev/full"):
            self.skipTest("needs /dev/full")
        for arguments in (("list",), ("list", "--format", "json"), ("manifests",), ("status",), ("show", "1"), ("--help",)):
            with self.subTest(arguments), open("/dev/full", "wb") as full:
                done = subprocess.run([binary(), "-c", str(self.bureau.config_path), *arguments], stdout=full, stderr=subprocess.PIPE)
                self.assertEqual(done.returncode, TRY_LATER, done.stderr)  # a full disk passes by freeing something
                self.assertIn(b"writing the output", done.stderr)


class LongListTest(Scene):
    def test_head_ends_a_long_listing_quietly(self) -> None:
        bureau = self.scene()
        self.api_of(bureau).set_down(True)
        bureau.drop("a.csv", manifests.realistic(3000))
        bureau.start()
        bureau.wait_manifest("a.csv", "released")
        for form in ("table", "json", "csv"):
            with self.subTest(form):
                process = subprocess.Popen([binary(), "-c", str(bureau.config_path), "list", "--format", form], stdout=subprocess.PIPE,
                                           stderr=subprocess.PIPE)
                assert process.stdout and process.stderr
                self.assertTrue(process.stdout.readline())
                process.stdout.close()
                self.assertEqual(process.stderr.read(), b"")
                process.stderr.close()
                self.assertNotEqual(process.wait(10), 0)
        done = raw(bureau, "list", "--format", "csv")
        self.assertEqual([row["line"] for row in from_csv(done)], [str(line) for line in range(2, 3002)])


class CommandLineTest(Scene):
    def commands(self) -> list[str]:
        text = subprocess.run([binary(), "--help"], capture_output=True, text=True, check=True).stdout
        return re.findall(r"^  ([a-z]+) ", text, re.MULTILINE)

    def test_help_of_every_command(self) -> None:
        commands = self.commands()
        self.assertTrue({"run", "check", "explain", "status", "manifests", "list", "show", "card"} <= set(commands), commands)
        for command in commands:
            with self.subTest(command):
                done = subprocess.run([binary(), "-c", "/nowhere", command, "--help"], capture_output=True, text=True)
                self.assertEqual((done.returncode, done.stderr), (0, ""))
                self.assertIn(f"trackbridge [-c FILE] {command}", done.stdout)
                self.assertEqual([line for line in done.stdout.splitlines() if len(line) > 132], [])

    def test_version(self) -> None:
        done = subprocess.run([binary(), "--version"], capture_output=True, text=True)
        self.assertEqual(done.returncode, 0)
        self.assertRegex(done.stdout, r"^trackbridge \d+\.\d+")

    def test_what_is_misspelt_is_told_with_the_nearest(self) -> None:
        bureau = self.scene()
        for arguments, words in ((("lst",), "list"), (("statsu",), "status"), (("manifest",), "manifests"),
                                 (("list", "--sate", "x"), "--state"), (("explain", "--sorce", "x"), "--source"),
                                 (("check", "--onlin3"), "--online"), (("run", "--until-idel"), "--until-idle")):
            with self.subTest(arguments):
                done = raw(bureau, *arguments)
                self.assertEqual((done.returncode, done.stdout), (USAGE, b""))
                self.assertIn(f"is {words} meant?", done.stderr.decode())

    def test_what_is_like_nothing_is_told(self) -> None:
        bureau = self.scene()
        for arguments in (("xyzzy",), (), ("list", "--xyzzy"), ("list", "-z"), ("--xyzzy",), ("list", "--limit"), ("check", "--online=1"),
                          ("run", "surplus"), ("explain",), ("card",), ("card", "a", "b"), ("status", "surplus")):
            with self.subTest(arguments):
                done = raw(bureau, *arguments)
                self.assertEqual((done.returncode, done.stdout), (USAGE, b""))
                self.assertEqual(len(done.stderr.decode().splitlines()), 1)
                self.assertIn("--help", done.stderr.decode())

    EVERY = (("run",), ("check",), ("status",), ("manifests",), ("list",), ("show", "1"), ("card", "c"), ("explain", "/dev/null"))

    def test_a_missing_configuration_is_no_input(self) -> None:
        bureau = self.scene()
        bureau.config_path.unlink()
        for arguments in self.EVERY:
            with self.subTest(arguments):
                done = raw(bureau, *arguments)
                self.assertEqual(done.returncode, NO_INPUT)
                self.assertIn(str(bureau.config_path), (done.stdout + done.stderr).decode())

    def test_a_misspelt_key_is_told_with_its_place_and_the_right_one(self) -> None:
        bureau = self.scene()
        lines = bureau.config_path.read_text().splitlines()
        at = next(i for i, line in enumerate(lines) if line.lstrip().startswith("concurrency:"))
        column = lines[at].index("concurrency") + 1
        lines[at] = lines[at].replace("concurrency", "concurency")
        bureau.config_path.write_text("\n".join(lines) + "\n")
        for arguments in self.EVERY:
            with self.subTest(arguments):
                done = raw(bureau, *arguments)
                text = (done.stdout + done.stderr).decode()
                self.assertEqual(done.returncode, CONFIG, text)
                self.assertIn(f"{bureau.config_path}:{at + 1}:{column}", text)
                self.assertIn("concurency", text)
                self.assertIn("'concurrency'", text)

    def test_a_database_that_is_not_there_is_no_input(self) -> None:
        bureau = self.scene()
        for arguments in (("status",), ("manifests",), ("list",), ("show", "1"), ("card", "c")):
            with self.subTest(arguments):
                done = raw(bureau, *arguments)
                self.assertEqual((done.returncode, done.stdout), (NO_INPUT, b""))
                self.assertIn("queue.db", done.stderr.decode())
        self.assertEqual(list(bureau.state.iterdir()), [])

    def test_a_database_of_somebody_else_is_refused_untouched(self) -> None:
        bureau = self.scene()
        subprocess.run(["sqlite3", str(bureau.database), "CREATE TABLE t(x); PRAGMA user_version = 1"], check=True)
        before = bureau.database.read_bytes()
        for arguments in (("run",), ("status",)):
            with self.subTest(arguments):
                self.assertEqual(raw(bureau, *arguments).returncode, DATA)
        self.assertEqual(bureau.database.read_bytes(), before)

    def test_a_database_of_a_newer_version_is_refused_untouched(self) -> None:
        bureau = self.scene()
        bureau.until_idle()
        subprocess.run(["sqlite3", str(bureau.database), "PRAGMA user_version = 9999; PRAGMA wal_checkpoint(TRUNCATE)"], check=True,
                       capture_output=True)
        before = bureau.database.read_bytes()
        for arguments in (("run",), ("status",)):
            with self.subTest(arguments):
                self.assertEqual(raw(bureau, *arguments).returncode, DATA)
        self.assertEqual(bureau.database.read_bytes(), before)


class BesideTheDaemonTest(Scene):
    def test_reading_commands_work_while_the_daemon_runs(self) -> None:
        bureau = self.scene()
        bureau.drop("a.csv", manifests.realistic(30))
        bureau.start()
        bureau.wait_manifest("a.csv")
        told = from_json(raw(bureau, "status", "--format", "json"))
        self.assertEqual((told["daemon"], told["pid"], told["rows"]["accepted"]), ("running", bureau.pid, 30))
        self.assertIn(f"process {bureau.pid}", raw(bureau, "status").stdout.decode())
        self.assertEqual(from_json(raw(bureau, "list", "--format", "json")), bureau.rows())
        self.assertEqual(raw(bureau, "check").returncode, 0)

    def test_status_tells_of_a_pause_and_of_what_waits(self) -> None:
        bureau = self.scene(endpoint={"retry": {"first": "60s", "most": "60s"}})
        self.api_of(bureau).set_token_behaviour("403")
        bureau.drop("a.csv", manifests.realistic(3))
        bureau.start()
        paused = bureau.wait_endpoint("paused", "credentials")
        told = from_json(raw(bureau, "status", "--format", "json"))
        self.assertEqual((told["endpoints"][0]["state"], told["endpoints"][0]["reason"]), ("paused", "credentials"))
        self.assertEqual(told["oldest_waiting"]["name"], "a.csv")
        self.assertGreater(seconds_of(paused["paused_until"]), seconds_of(told["oldest_waiting"]["queued_at"]))
        text = raw(bureau, "status").stdout.decode()
        self.assertIn("credentials", text)
        self.assertIn("waiting    since", text)

    def test_a_second_daemon_names_the_holder(self) -> None:
        bureau = self.scene()
        bureau.start()
        done = raw(bureau, "run")
        self.assertEqual((done.returncode, done.stdout), (TRY_LATER, b""))
        self.assertIn(f"process {bureau.pid}", done.stderr.decode())
        self.assertIn(str(bureau.state), done.stderr.decode())
        self.assertEqual(bureau.stop(), 0)

    def test_what_it_makes_is_nobody_elses_to_read(self) -> None:
        bureau = self.scene(wrapper=["sh", "-c", 'umask 0; exec "$@"', "sh"])
        before = set(bureau.root.rglob("*"))
        bureau.drop("a.csv", manifests.realistic(5).text() + "card-x;LOST;Lyon;;;;\r\n", events=[])
        self.assertEqual(bureau.until_idle(), DATA)
        made = set(bureau.root.rglob("*")) - before - {bureau.log_path}
        self.assertTrue({"queue.db", "queue.db-wal", "queue.db-shm", "lock", "spool", "archive", "a.1.receipt.csv", "a.1.rejects.csv"}
                        <= {path.name for path in made})
        self.assertEqual([(str(path), oct(path.stat().st_mode)) for path in made if path.stat().st_mode & 0o007], [])


if __name__ == "__main__":
    unittest.main()
