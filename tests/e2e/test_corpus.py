"""The corpus of manifests (tests/data/manifests): each is explained, dropped and sent, and what comes of it is what its .expect says; its
rejects file is dropped again as it is, and corrected."""

from __future__ import annotations

import json
import os
import re
import unittest
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import model
import model_rejects
from harness import Bureau, View, to_yaml
from memory import in_memory
from model import CORPUS, History, Mapping, Outcome, Profile
from scripted_api import ScriptedApi
from test_intake import sanitized

LEAST_CASES = 300
LIMITS = "limits"  # the profile that has them lower
MANY = 1000  # rows
TIME = 1_700_000_000  # of every file, so that names alone give the order
SECONDS = 240  # that a run of all may take on a busy machine


@dataclass(frozen=True)
class Expected:
    """An .expect."""
    fate: str
    rows: dict[int, str]  # line: what is told of the row

    @staticmethod
    def parse(text: str) -> Expected:
        fate, *lines = text.rstrip("\n").split("\n")
        rows: dict[int, str] = {}
        for line in lines:
            where, _, told = line.partition(" ")
            first, _, last = where.partition("-")
            rows |= dict.fromkeys(range(int(first), int(last or first) + 1), told)
        return Expected(fate, rows)

    def differences(self, seen: Expected) -> list[str]:
        if self == seen:
            return []
        out = [f"expected: {self.fate}\n     was: {seen.fate}"] if self.fate != seen.fate else []
        for line in sorted(self.rows.keys() | seen.rows.keys()):
            one, other = self.rows.get(line, "no row"), seen.rows.get(line, "no row")
            if one != other:
                out.append(f"line {line}, expected: {one}\n     was: {other}")
        return out[:10]


@dataclass(frozen=True)
class Case:
    source: str
    name: str  # of the file as it is dropped
    content: bytes
    expected: Expected
    later: bool = False
    large: bool = False
    of: str = ""  # the manifest whose rejects file it is

    @property
    def title(self) -> str:
        return f"{self.source}/{self.name}"


def stored_cases() -> list[Case]:
    cases = []
    for folder in sorted(path for path in CORPUS.iterdir() if path.is_dir()):
        later = folder / "later"
        for path in model.cases_of(folder) + (model.cases_of(later) if later.is_dir() else []):
            text = path.with_suffix(".expect").read_text(encoding="utf-8")
            cases.append(Case(folder.name, f"{path.stem}.csv", model.bytes_of(path), Expected.parse(text), path.parent == later,
                              path.suffix == ".recipe"))
    return cases


def to_explain(cases: list[Case]) -> list[Case]:
    """All; or, where each start of the program is slow, one of each profile and whatever is about size."""
    if not sanitized():
        return cases
    sources = {case.source: case for case in reversed(cases)}
    return [case for case in cases if sources[case.source] is case or case.source == LIMITS or case.large]


class Plant:
    """A bureau with every profile as a source, and what it makes of cases."""

    def __init__(self, api: ScriptedApi) -> None:
        self.api = api
        with in_memory():
            self.bureau = Bureau(api, endpoint={"issuers": list(model.ISSUERS), "concurrency": 16})
        self.profiles = {path.parent.name: path.parent for path in sorted(CORPUS.glob("*/source.yaml"))}
        self._write_config()

    def folder(self, source: str, kind: str) -> Path:
        return self.bureau.root / source / kind

    def _write_config(self) -> None:
        """The profiles go in as they are written."""
        self.bureau.config.pop("sources")
        text = to_yaml(self.bureau.config).lstrip("\n") + "\nsources:\n"
        for name, path in self.profiles.items():
            for kind in ("in", "out"):
                self.folder(name, kind).mkdir(parents=True, exist_ok=True)
            profile = (path / "source.yaml").read_text(encoding="utf-8")
            text += f"  - name: {name}\n    drop: {self.folder(name, 'in')}\n    receipts: {self.folder(name, 'out')}\n" \
                    "    complete: { when: renamed, quiet: 10ms }\n    scan: 100ms\n" \
                    + "".join(f"    {line}\n" if line else "\n" for line in profile.splitlines())
        self.bureau.config_path.write_text(text, encoding="utf-8")

    def close(self) -> None:
        self.bureau.close()

    def explain(self, cases: list[Case]) -> dict[str, tuple[int, str, list[View]]]:
        """Exit status, standard error and rows of each."""
        place = self.bureau.root / "explained"

        def one(case: Case) -> tuple[int, str, list[View]]:
            path = place / case.source / case.name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(case.content)
            done = self.bureau.cli("explain", str(path), "--source", case.source, "--format", "json", seconds=SECONDS)
            return done.returncode, done.stderr, json.loads(done.stdout or "[]")
        with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
            return dict(zip((case.title for case in cases), pool.map(one, cases)))

    def run(self, cases: list[Case]) -> None:
        for case in cases:
            path = self.folder(case.source, "in") / f".{case.name}.upload"
            path.write_bytes(case.content)
            os.utime(path, (TIME, TIME))
            path.rename(path.with_name(case.name))
        self.bureau.until_idle(SECONDS)

    def seen(self) -> dict[str, Expected]:
        """What the database says of each manifest, in an .expect's words, with the bytes that the API has read."""
        rows: dict[int, list[View]] = defaultdict(list)
        place: dict[int, tuple[int, str, int]] = {}
        for row in self.bureau.rows():
            rows[row["manifest_id"]].append(row)
            place[row["row_id"]] = (row["manifest_id"], row["manifest"], row["line"])
        requests = {r.operationId: r for r in self.api.requests}
        found: dict[str, Expected] = {}
        for manifest in self.bureau.manifests():
            reason = manifest["reason"] or ""
            fate = {"settled": "released"}.get(manifest["state"], manifest["state"])
            told: dict[int, str] = {}
            for row in rows[manifest["manifest_id"]]:
                text = str(row["state"])
                if text == "accepted":
                    r = requests[row["operation_id"]]
                    text = f"queued /issuers/{r.issuer}/physicalCards/{r.card}/track {r.body}"
                elif text == "rejected":
                    text += " with the file" if reason and row["detail"] == reason else f" {row['detail']}"
                elif text == "duplicate":
                    of, name, line = place[int(row["detail"].split()[1])]
                    text += f" of line {line}" if of == row["manifest_id"] else f" of {name} line {line}"
                told[row["line"]] = text
            found[f"{manifest['source']}/{manifest['name']}"] = Expected(
                f"{fate}: {reason}" if fate == "rejected" else fate, told)
        return found

    def rejects(self) -> dict[str, bytes]:
        """The rejects file of each manifest that has one."""
        found = {}
        for manifest in self.bureau.manifests():
            path = self.folder(manifest["source"], "out") / f"{Path(manifest['name']).stem}.{manifest['manifest_id']}.rejects.csv"
            if path.exists():
                found[f"{manifest['source']}/{manifest['name']}"] = path.read_bytes()
        return found

    def explained(self, case: Case, told: tuple[int, str, list[View]]) -> Expected:
        """What explain says, in an .expect's words; of a manifest that is rejected whole, its rows' own states are left out."""
        status, stderr, views = told
        whole = re.search(r" as a whole would be rejected: (.*)", stderr)
        fate = f"rejected: {whole[1]}" if whole else "duplicate" if "would be recorded as duplicate" in stderr else "released"
        rows: dict[int, str] = {}
        for view in views:
            text = view["state"]
            if text == "queued":
                text += f" {view['url'].removeprefix(self.bureau.config['endpoints'][0]['api_url'])} {view['body']}"
                assert view["method"] == "POST", view
            elif text == "rejected":
                text += " " + (f"{view['column']}: " if view["column"] else "") + view["reason"]
            elif text == "duplicate" and view["reason"].startswith("line "):
                text += " of " + view["reason"].removesuffix(" of this file")
            elif text == "duplicate":
                row = self.bureau.rows("row_id = ?", int(view["reason"].split()[1]))[0]
                text += f" of {row['manifest']} line {row['line']}"
            rows[view["line"]] = text if text.startswith("rejected") or not whole else "rejected with the file"
        bad = bool(whole) or any(row.startswith("rejected") for row in rows.values())
        assert status == (65 if bad else 0), (case.title, status, stderr)
        return Expected(fate, {} if fate == "duplicate" else rows)


class CorpusTest(unittest.TestCase):
    """Three runs: all cases; those that know of the first run's rows, and the rejects files as they are; the rejects files corrected."""

    cases: list[Case]
    back: list[Case]
    fixed: list[Case]
    explained: dict[str, tuple[int, str, list[View]]]
    seen: dict[str, Expected]
    rejects: dict[str, bytes]
    profiles: dict[str, Profile]
    outcomes: dict[str, Outcome]  # the model's
    plant: Plant

    @classmethod
    def setUpClass(cls) -> None:
        api = ScriptedApi(issuers=model.ISSUERS).start()
        cls.addClassCleanup(api.stop)
        cls.plant = Plant(api)
        cls.addClassCleanup(cls.plant.close)
        cls.cases = stored_cases()
        cls.profiles = {name: model.profile_of(path) for name, path in cls.plant.profiles.items()}
        first = [case for case in cls.cases if not case.later]
        history = History()
        with ThreadPoolExecutor(1) as aside:
            predicting = aside.submit(lambda: {case.title: cls._predict(case, history) for case in first})
            cls.explained = cls.plant.explain(to_explain(first))
            cls.plant.run(first)
            written = cls.plant.rejects()
            cls.outcomes = predicting.result()
        cls.back = [Case(case.source, f"zz-back-{case.name}", written[case.title], Expected("", {}), of=case.title)
                    for case in first if case.title in written]
        second = sorted([case for case in cls.cases if case.later] + cls.back, key=lambda case: case.title)
        cls.explained |= cls.plant.explain([case for case in second if case.later])
        cls.outcomes |= {case.title: cls._predict(case, history) for case in second}
        cls.plant.run(second)
        cls.fixed = [case for case in map(lambda back: cls._corrected(back, history), cls.back) if case]
        cls.outcomes |= {case.title: cls._predict(case, history) for case in sorted(cls.fixed, key=lambda case: case.title)}
        cls.plant.run(cls.fixed)
        cls.seen = cls.plant.seen()
        cls.rejects = cls.plant.rejects()

    @classmethod
    def _predict(cls, case: Case, history: History) -> Outcome:
        return model.predict(cls.profiles[case.source], case.source, case.name, case.content, history)

    @classmethod
    def _corrected(cls, back: Case, history: History) -> Case | None:
        donor = model_rejects.donor_of(cls.profiles[back.source],
                                       [outcome for title, outcome in cls.outcomes.items() if title.startswith(f"{back.source}/")])
        content = model_rejects.corrected(cls.profiles[back.source], back.content, donor, history)
        return Case(back.source, back.name.replace("zz-back-", "zz-fixed-"), content, Expected("", {}), of=back.of) if content else None

    def agree(self, case: Case, expected: Expected, seen: Expected | None, what: str) -> None:
        with self.subTest(case.title, what=what):
            self.assertIsNotNone(seen)
            assert seen
            self.assertEqual("\n".join(expected.differences(seen)), "")

    def test_there_are_enough_of_them_and_each_has_its_expectation(self) -> None:
        self.assertGreaterEqual(len(self.cases), LEAST_CASES)
        self.assertEqual(len({case.title for case in self.cases}), len(self.cases))
        stems = {path.with_suffix("") for suffix in ("csv", "recipe") for path in CORPUS.glob(f"*/**/*.{suffix}")}
        self.assertEqual({path.with_suffix("") for path in CORPUS.glob("*/**/*.expect")}, stems)
        self.assertEqual({path.parent.name for path in CORPUS.glob("*/source.yaml")}, {case.source for case in self.cases})

    def test_no_two_profiles_share_a_card(self) -> None:
        """The same request is a duplicate across sources, and nothing says which of two sources comes first."""
        of: dict[str, str] = {}
        for case in self.cases:
            for row in self.outcomes[case.title].rows:
                if row.card and row.path:
                    self.assertEqual(of.setdefault(row.card, case.source), case.source, f"{case.title} line {row.line}: {row.card}")

    def test_the_model_agrees_with_each_expectation(self) -> None:
        for case in self.cases:
            self.agree(case, case.expected, Expected.parse(self.outcomes[case.title].text()), "model")

    def test_each_manifest_comes_to_what_is_expected(self) -> None:
        for case in self.cases:
            self.agree(case, case.expected, self.seen.get(case.title), "database and API")

    def test_the_api_has_read_each_expected_request_once_and_no_other(self) -> None:
        expected = [told.removeprefix("queued ") for case in self.cases for told in case.expected.rows.values()
                    if told.startswith("queued ")]
        expected += [f"{row.path} {row.body}" for case in self.back + self.fixed for row in self.outcomes[case.title].rows
                     if row.state == "queued"]
        read = [f"/issuers/{r.issuer}/physicalCards/{r.card}/track {r.body}" for r in self.plant.api.requests]
        self.assertEqual(sorted(read), sorted(expected))
        self.assertEqual(self.plant.api.bad, [])

    def test_explain_says_beforehand_what_comes(self) -> None:
        for case in (case for case in self.cases if case.title in self.explained):
            self.agree(case, case.expected, self.plant.explained(case, self.explained[case.title]), "explain")

    def test_the_rejects_file_is_the_rejected_rows_as_they_came(self) -> None:
        for case in self.cases:
            with self.subTest(case.title):
                expected = model_rejects.rejects_file(self.profiles[case.source], self.outcomes[case.title], case.content)
                self.assertEqual(self.rejects.get(case.title), expected)

    def test_a_rejects_file_dropped_as_it_is_rejects_the_same_rows_for_the_same_reasons(self) -> None:
        """Rows with too few or too many cells under a header are told the numbers of the rejects file. Without a header, too few cells are
        filled up."""
        for case in self.back:
            before, again = self.outcomes[case.of], self.outcomes[case.title]
            self.agree(case, Expected.parse(again.text()), self.seen.get(case.title), "dropped again")
            mapping = Mapping(self.profiles[case.source], before.header)
            rejected = [row for row in before.rows if row.state == "rejected"]
            with self.subTest(case.title):
                self.assertEqual(len(again.rows), len(rejected))
                for one, other in zip(rejected, again.rows):
                    if len(one.cells) == mapping.width:
                        self.assertEqual(("rejected", one.column, one.reason), (other.state, other.column, other.reason))
                    elif mapping.header is not None and not one.column:
                        self.assertEqual("rejected", other.state)

    def test_a_corrected_rejects_file_loads_fully(self) -> None:
        for case in self.fixed:
            outcome = self.outcomes[case.title]
            self.agree(case, Expected.parse(outcome.text()), self.seen.get(case.title), "corrected")
            with self.subTest(case.title):
                self.assertEqual(outcome.fate, "released")
                self.assertNotIn("rejected", {row.state for row in outcome.rows})
                self.assertEqual(len(outcome.rows), len([r for r in self.outcomes[case.of].rows if r.state == "rejected"]))
        with_rejects = {case.source for case in self.back}
        self.assertEqual({case.source for case in self.fixed}, with_rejects)

    def test_a_changed_expectation_is_noticed(self) -> None:
        """Each kind of change, in every case but the largest."""
        for case in (case for case in self.cases if len(case.expected.rows) < MANY):
            seen = self.seen[case.title]
            changed = [Expected("released: so" if case.expected.fate == "released" else "released", case.expected.rows),
                       Expected(case.expected.fate, case.expected.rows | {10**9: "skipped"})]
            for line, told in list(case.expected.rows.items())[:3]:
                changed += [Expected(case.expected.fate, case.expected.rows | {line: told + "."}),
                            Expected(case.expected.fate, {n: t for n, t in case.expected.rows.items() if n != line})]
            with self.subTest(case.title):
                for one in changed:
                    self.assertNotEqual(one.differences(seen), [])


if __name__ == "__main__":
    unittest.main()
