"""Outages of hours and days, in seconds: what they cost in requests, that they cost no row anything, and how fast sending is back.

Time leaps while nothing is under way (clock.py), so that answers take their true time. Where D1 answers, a request may take an hour: a
leap that comes at the wrong moment must not look like a time-out.
"""

from __future__ import annotations

import unittest
from collections.abc import Callable
from typing import Any

import manifests
import oracles
from behaviours import Behaviour
from clock import Clock, TimedApi
from harness import Bureau, merged, wait_for
from ledger import Request
from scripted_api import TOKEN_PATH
from test_daemon import returns

HOUR, DAY = 3600, 86400
RETRY = {"first": "1s", "most": "15m", "give_up_after": "72h"}  # the defaults
PATIENT = {"timeout": "1h", "connect_timeout": "1h", "retry": RETRY}
HANG = Behaviour("hang", cut=0, end="hang")

# An hour costs the 8 requests in flight, then one for each back-off: with full jitter 24.5 on average, more than 30 once in 600 hours and
# more than 36 practically never.
GOAL, MOST = 30, 36
LONG = 300  # seconds between two looks of the daemon at the time, where days go by and nobody minds if it is a little late
GOOD = 20  # rows that are accepted before it begins


def processor_seconds(pid: int) -> float:
    with open(f"/proc/{pid}/stat", encoding="ascii") as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


class OutageTest(unittest.TestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.addCleanup(self.clock.close)

    def api(self) -> TimedApi:
        api = TimedApi(self.clock)
        self.addCleanup(api.stop)
        api.start()
        return api

    def bureau(self, api: TimedApi, endpoint: dict[str, Any], **changes: Any) -> Bureau:
        self.here = bureau = Bureau(api, environment=self.clock.environment(), top={"stop_timeout": "1h"}, endpoint=merged(PATIENT, endpoint),
                        **{"source": {"scan": "1h"}} | changes)
        self.addCleanup(bureau.close)
        return bureau


class HourTest(OutageTest):
    """An hour in which D1 does nothing for us, with default settings."""

    def hour(self, begin: Callable[[TimedApi], None], *, rows: int = 2000, hanging: bool = False, **endpoint: Any) -> tuple[int, Bureau]:
        """Gives how many requests it cost, connections that were refused included."""
        api = self.api()
        self.seen: list[tuple[float, int]] = []  # when, and how many have been in flight by then
        api.on_track(self._note)
        bureau = self.bureau(api, endpoint)
        bureau.start()
        bureau.drop("good.csv", manifests.realistic(GOOD))
        bureau.wait_manifest("good.csv", "settled", seconds=60)
        begin(api)
        bureau.drop("a.csv", returns(rows), events=[])
        bureau.wait_manifest("a.csv", "released", seconds=60)
        self.clock.pass_by(120, until=lambda: bureau.endpoint()["state"] != "open", hanging=hanging)
        since, processor, polls = self.clock.steady(), processor_seconds(bureau.pid), self.clock.polls
        self.clock.pass_by(HOUR, hanging=hanging)
        attempts = bureau.query("SELECT count(*) AS n FROM attempt_history")[0]["n"] - GOOD
        self.assertLess(processor_seconds(bureau.pid) - processor, 10)
        self.assertLess(self.clock.polls - polls, 20_000)
        self.assertGreater(self.clock.steady() - since, HOUR - 1)
        return attempts, bureau

    def _note(self, request: Request) -> Behaviour | None:
        assert isinstance(self.here.api, TimedApi)
        self.seen.append((self.clock.steady(), self.here.api.most_in_flight))
        return None

    def costs(self, begin: Callable[[TimedApi], None], **how: Any) -> Bureau:
        requests, bureau = self.hour(begin, **how)
        self.assertLessEqual(requests, MOST)
        if requests > GOAL:  # as chance would have it; twice is no chance
            bureau.close()
            requests, bureau = self.hour(begin, **how)
        self.assertLessEqual(requests, GOAL)
        self.assertLessEqual(set(bureau.states()), {"accepted", "queued", "sending", "in_doubt"})
        self.assertEqual(bureau.states()["accepted"], GOOD)
        return bureau

    def comes_back(self, bureau: Bureau, end: Callable[[TimedApi], None], accepted: int, *, hanging: bool = False) -> None:
        """Full speed within 10 s of the first good answer, by the daemon's own clock; and so many rows are accepted soon."""
        api = bureau.api
        assert isinstance(api, TimedApi)
        self.seen.clear()
        api.most_in_flight = 0
        api.delay = 0.02  # so that requests meet
        end(api)
        self.clock.pass_by(HOUR, until=lambda: len(self.seen) > 0, hanging=hanging)
        wait_for(lambda: any(most >= 8 for _, most in self.seen), 60, "8 requests in flight")
        full = next(i for i, (_, most) in enumerate(self.seen) if most >= 8)
        back = self.seen[full][0] - self.seen[0][0]
        self.assertLess(back, 10)
        api.delay = 0
        bureau.wait(lambda: bureau.states().get("accepted", 0) >= accepted, f"{accepted} accepted", 60)

    def test_503_with_50000_rows(self) -> None:
        bureau = self.costs(lambda api: api.outage(503), rows=50_000)
        bureau.wait_states(accepted=GOOD, queued=50_000)
        self.comes_back(bureau, lambda api: api.outage(0), 4000)
        self.assertLessEqual(set(bureau.states()), {"queued", "sending", "accepted"})

    def test_503_with_retry_after(self) -> None:
        bureau = self.costs(lambda api: api.outage(503, retry_after="120"))
        self.comes_back(bureau, lambda api: api.outage(0), 1900)

    def test_connections_that_are_refused(self) -> None:
        bureau = self.costs(lambda api: api.set_down(True))
        bureau.wait_states(accepted=GOOD, queued=2000)
        self.comes_back(bureau, lambda api: api.set_down(False), 1900)

    def test_connections_that_nobody_answers(self) -> None:
        def hang(api: TimedApi) -> None:
            api.accepting = "hang"
            api.end_idle_connections()

        def serve(api: TimedApi) -> None:
            api.accepting = "serve"
            api.drop_connections()
        bureau = self.costs(hang, hanging=True, timeout="60s", connect_timeout="10s")
        bureau.wait_states(accepted=GOOD, queued=2000)
        bureau.stop()
        bureau.config["endpoints"][0] |= PATIENT
        bureau.write_config()
        bureau.start()
        self.comes_back(bureau, serve, 1900)

    def test_requests_that_nobody_answers(self) -> None:
        bureau = self.costs(lambda api: api.outage(behaviour=HANG), hanging=True, timeout="60s", connect_timeout="10s")
        api = bureau.api
        assert api

        def those_that_came_through_are_in_doubt() -> bool:
            unanswered, states = len(api.requests) - GOOD, bureau.states()
            return states["queued"] == 2000 - unanswered and states["in_doubt"] + states.get("sending", 0) == unanswered
        bureau.wait(those_that_came_through_are_in_doubt, "a row in doubt for each request without an answer")


class DaysTest(OutageTest):
    """More than give_up_after, in the words of each endpoint's issuer."""

    KINDS = ("OVERLOADED", "UNREACHED1", "TOKENLESS1", "OPERATOR01", "MANIFEST01")

    def many(self, give_up_after: str = "72h") -> tuple[Bureau, dict[str, TimedApi]]:
        """A bureau with an endpoint, an API and a source for each kind, where every endpoint is paused and has rows that were put back."""
        apis = {kind: TimedApi(self.clock, self.KINDS) for kind in self.KINDS}
        endpoints, sources = [], []
        for kind, api in apis.items():
            api.start()
            self.addCleanup(api.stop)
            api.outage(503)
            endpoints.append(merged(PATIENT, {
                "name": kind.lower(), "issuers": [kind], "api_url": f"{api.url}/banking/v1", "token_url": f"{api.url}{TOKEN_PATH}",
                "retry": {"first": "1s", "most": "1h", "give_up_after": give_up_after}}))
            sources.append({"name": kind.lower(), "scan": "1h", "fields": {"issuerId": {"value": kind}}})
        bureau = Bureau(apis["OVERLOADED"], environment=self.clock.environment(), top={"stop_timeout": "1h"}, endpoints=endpoints, sources=sources)
        self.addCleanup(bureau.close)
        bureau.start()
        for i, kind in enumerate(self.KINDS):
            bureau.drop(f"{kind}.csv", manifests.cards(f"{kind}-{n}" for n in range(100)), source=i)
        bureau.wait_states(queued=500, seconds=30)
        self.clock.pass_by(HOUR, until=lambda: all(e["state"] == "paused" for e in bureau.endpoints()))
        return bureau, apis

    def test_three_days_expire_nothing(self) -> None:
        bureau, apis = self.many()
        manifest = bureau.manifest("MANIFEST01.csv")["manifest_id"]
        apis["UNREACHED1"].set_down(True)
        apis["TOKENLESS1"].set_token_behaviour("503")
        self.assertEqual(bureau.cli("pause", "operator01").returncode, 0)
        self.assertEqual(bureau.cli("pause", "--manifest", str(manifest)).returncode, 0)
        for kind in ("OPERATOR01", "MANIFEST01"):
            apis[kind].outage(0)
        sent = {kind: len(api.requests) for kind, api in apis.items()}
        self.clock.pass_by(37 * HOUR, least=LONG)
        self.assertEqual(bureau.stop(60), 0)
        self.clock.leap(HOUR)
        bureau.start()
        self.clock.pass_by(38 * HOUR, least=LONG)
        bureau.wait_states(queued=500, sending=0)
        for kind, limit in (("OVERLOADED", 300), ("UNREACHED1", 0), ("TOKENLESS1", 30), ("OPERATOR01", 0), ("MANIFEST01", 1)):
            with self.subTest(kind):
                self.assertLessEqual(len(apis[kind].requests) - sent[kind], limit)
        apis["OVERLOADED"].outage(0)
        apis["UNREACHED1"].outage(0)
        apis["UNREACHED1"].set_down(False)
        apis["TOKENLESS1"].outage(0)
        apis["TOKENLESS1"].set_token_behaviour("ok")
        self.assertEqual(bureau.cli("resume", "operator01").returncode, 0)
        self.assertEqual(bureau.cli("resume", "--manifest", str(manifest)).returncode, 0)
        self.clock.pass_by(4 * HOUR, until=lambda: bureau.states() == {"accepted": 500})
        self.assertEqual(bureau.states(), {"accepted": 500})
        requests = [request for api in apis.values() for request in api.requests]
        self.assertEqual(oracles.all_of(bureau, requests), [])


class GiveUpTest(OutageTest):
    def test_a_row_that_alone_is_put_back_expires_when_its_open_time_is_over(self) -> None:
        api = self.api()
        bureau = self.bureau(api, {"on_not_found": "retry", "retry": {"first": "1s", "most": "15m", "give_up_after": "12h"}})
        bureau.start()
        bureau.drop("a.csv", manifests.cards(["nf-plain", "nf-held", "good-1"]))
        bureau.drop("b.csv", manifests.cards(["nf-paused", "good-2"]))
        bureau.wait(lambda: bureau.states().get("accepted") == 2 and all(r["attempts"] for r in bureau.rows()), "a first answer for each")
        begin = self.clock.steady()
        held, manifest = bureau.row("nf-held")["row_id"], bureau.manifest("b.csv")["manifest_id"]
        wait_for(lambda: bureau.cli("hold", "--row", str(held)).returncode == 0 and bureau.row("nf-held")["state"] == "held", 20, "held")
        self.assertEqual(bureau.cli("pause", "--manifest", str(manifest)).returncode, 0)
        self.clock.pass_by(6 * HOUR, least=LONG)
        self.assertEqual(bureau.cli("release", "--row", str(held)).returncode, 0)
        self.assertEqual(bureau.cli("resume", "--manifest", str(manifest)).returncode, 0)
        self.assertEqual(bureau.stop(60), 0)
        self.clock.leap(5 * HOUR)  # nobody is there to give up
        bureau.start()
        self.expire(["nf-plain"], begin + 17 * HOUR)
        self.expire(["nf-held", "nf-paused"], begin + 23 * HOUR)
        self.assertEqual(bureau.states(), {"accepted": 2, "expired": 3})
        again = [(card, "SHIPMENT") for card in ("nf-plain", "nf-held", "nf-paused")]
        self.assertEqual(oracles.all_of(bureau, twice=again), [])

    def expire(self, cards: list[str], at: float) -> None:
        """Each at its first answer after that time, which is at most 15 minutes later."""
        def states() -> set[str]:
            return {self.here.row(card)["state"] for card in cards}
        self.clock.pass_by(at - 60 - self.clock.steady(), least=LONG)
        self.assertLessEqual(states(), {"queued", "sending"}, cards)
        self.clock.pass_by(17 * 60, until=lambda: states() == {"expired"})
        self.assertEqual(states(), {"expired"}, (cards, self.here.rows()))


if __name__ == "__main__":
    unittest.main()
