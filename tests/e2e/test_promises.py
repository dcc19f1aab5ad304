"""The promises P1 to P8 of the product, each in the way a user would notice if it were broken."""

from __future__ import annotations

import os
import sqlite3
import time
import unittest
from pathlib import Path
from typing import Any

import manifests
import oracles
from behaviours import lost, status
from harness import Bureau, seconds_of, wait_for
from ledger import Request
from manifests import Manifest, Row
from scene import Scene
from scripted_api import ScriptedApi

QUICK = {"first": "20ms", "most": "200ms"}


class P1WholeOrNotAtAll(Scene):
    def test_no_request_leaves_before_its_manifest_is_released(self) -> None:
        api, bureau = self.scene(endpoint={"concurrency": 32})
        bureau.drop("a.csv", manifests.realistic(3000))
        bureau.start()
        bureau.wait(lambda: len(api.requests) > 50, "requests")
        bureau.kill()
        released = seconds_of(bureau.manifest("a.csv")["released_at"])
        self.assertGreaterEqual(min(r.t for r in api.requests), released - 0.002)

    def test_a_manifest_that_breaks_at_its_end_sends_nothing(self) -> None:
        api, bureau = self.scene()
        good = manifests.realistic(500)
        bureau.drop("a.csv", good.text() + 'card-last;SHIPPED;"Lyon;x;;;\r\n', events=good.events)
        bureau.start()
        manifest = bureau.wait_manifest("a.csv", "rejected")
        bureau.stop()
        self.assertEqual((api.requests, manifest["rows"] - manifest["rejected"]), ([], 0))
        self.assertTrue(manifest["reason"])

    def test_a_file_still_being_written_is_not_taken(self) -> None:
        api, bureau = self.scene(source={"complete": {"when": "closed", "quiet": "300ms"}})
        bureau.start()
        text = manifests.realistic(40).text().encode()
        path = bureau.in_directory / "slow.csv"
        with open(path, "wb", buffering=0) as f:
            for i in range(0, len(text), len(text) // 5):
                f.write(text[i:i + len(text) // 5])
                time.sleep(0.15)
                self.assertTrue(path.exists())
        bureau.dropped.append(("lyon", "slow.csv", manifests.events_of(text.decode())))
        bureau.wait_manifest("slow.csv")
        bureau.stop()
        self.assertEqual(bureau.manifest("slow.csv")["accepted"], 40)
        self.sound(bureau)

    def test_the_original_is_removed_only_after_it_was_recorded(self) -> None:
        _, bureau = self.scene()
        path = bureau.drop("a.csv", manifests.realistic(20))
        taken = path.with_name(".trackbridge-a.csv")
        bureau.start()
        wait_for(lambda: not path.exists() and not taken.exists(), what="the removal")
        self.assertEqual(bureau.manifest("a.csv")["name"], "a.csv")

    def test_a_crash_while_loading_ends_in_a_whole_manifest(self) -> None:
        api, bureau = self.scene()
        api.set_down(True)
        bureau.drop("a.csv", manifests.realistic(20_000))
        bureau.start()
        bureau.wait(lambda: bureau.manifests(), "the manifest")
        bureau.kill()
        bureau.start()
        manifest = bureau.wait_manifest("a.csv", "released", seconds=20)
        bureau.kill()
        self.assertEqual((manifest["rows"], len(bureau.manifests())), (20_000, 1))
        self.sound(bureau)


class P2ItBalances(Scene):
    def test_at_every_moment_of_a_run_with_every_kind_of_answer(self) -> None:
        _, bureau = self.scene(endpoint={"retry": QUICK})
        kinds = ("card", "card", "h400", "close", "noid", "stale", "card", "h502", "nf")
        rows = [Row(f"{kinds[i % len(kinds)]}-{i}") for i in range(300)]
        bad = "card-x;LOST;Lyon;;;;\r\n;SHIPPED;Lyon;1;;;\r\ncard-y;EMBOSSED;Lyon;;;;\r\n"
        events = Manifest(rows).events
        bureau.drop("a.csv", Manifest(rows).text() + bad, events=events)
        bureau.start()
        looks = 0

        def at_rest() -> bool:
            nonlocal looks
            self.assertEqual(oracles.balance(bureau), [])
            looks += 1
            return bureau.at_rest()
        bureau.wait(at_rest, "the end of it", 20)
        bureau.stop()
        self.assertGreater(looks, 5)
        manifest = bureau.manifest("a.csv")
        self.assertEqual((manifest["rows"], manifest["rejected"], manifest["skipped"]), (303, 2, 1))
        self.sound(bureau)

    def test_after_kills_at_any_time(self) -> None:
        api, bureau = self.scene(endpoint={"concurrency": 16})
        api.delay = 0.01
        bureau.drop("a.csv", manifests.realistic(400))
        for wait in (0.02, 0.1, 0.05):
            bureau.start()
            time.sleep(wait)
            bureau.kill()
        bureau.start()
        bureau.wait(bureau.at_rest, "the end of it", 20)
        bureau.stop()
        self.sound(bureau)


class P3IntentBeforeTheFirstByte(Scene):
    def test_a_row_is_durably_sending_when_its_request_is_read(self) -> None:
        api, bureau = self.scene()
        seen: list[tuple[str, Any]] = []

        def look(request: Request) -> None:
            with bureau.connection() as connection:
                found = connection.execute("SELECT s.state, s.card_id FROM status s JOIN attempt_history a USING (row_id)"
                                           " WHERE a.correlation_id = ?", (request.correlation,)).fetchone()
            seen.append((request.card, tuple(found) if found else None))
        api.on_track(look)
        bureau.drop("a.csv", manifests.realistic(60))
        bureau.start()
        bureau.wait_manifest("a.csv")
        bureau.stop()
        self.assertEqual([(card, found) for card, found in seen if found != ("sending", card)], [])
        self.assertEqual(len(seen), 60)

    def test_a_crash_leaves_no_request_unrecorded(self) -> None:
        api, bureau = self.scene(endpoint={"concurrency": 16})
        api.delay = 0.05
        bureau.drop("a.csv", manifests.realistic(200))
        bureau.start()
        bureau.wait(lambda: len(api.requests) > 40, "requests")
        bureau.kill()
        time.sleep(0.1)  # what was on the way arrives
        recorded = {a["correlation_id"] for a in bureau.attempts()}
        self.assertEqual([r.card for r in api.requests if r.correlation not in recorded], [])


class P4NeverTwiceByAccident(Scene):
    def test_a_crash_with_requests_under_way_leaves_them_in_doubt(self) -> None:
        api, bureau = self.scene(endpoint={"concurrency": 4})
        api.on_track(lambda r: lost("hang", "hang"))
        bureau.drop("a.csv", manifests.cards([f"card-{i}" for i in range(10)]))
        bureau.start()
        bureau.wait(lambda: len(api.requests) == 4, "four requests under way")
        bureau.kill()
        api.clear_scripts()
        bureau.start()
        bureau.wait_states(in_doubt=4, accepted=6)
        bureau.stop()
        self.assertEqual({row["detail"] for row in bureau.rows("state = 'in_doubt'")}, {"crash"})
        self.sound(bureau)

    def test_after_a_crash_sending_begins_with_one_in_flight(self) -> None:
        api, bureau = self.scene(endpoint={"concurrency": 8})
        api.on_track(lambda r: lost("hang", "hang"))
        bureau.drop("a.csv", manifests.cards([f"card-{i}" for i in range(40)]))
        bureau.start()
        bureau.wait(lambda: len(api.requests) == 8, "eight requests under way")
        bureau.kill()
        api.clear_scripts()
        bureau.wait(lambda: api.in_flight == 0, "the end of what was under way")
        before = len(api.requests)
        in_flight: list[int] = []
        api.on_track(lambda r: in_flight.append(api.in_flight))
        api.delay = 0.05
        bureau.start()
        bureau.wait(lambda: len(api.requests) >= before + 20, "requests")
        self.assertEqual(in_flight[0], 1)
        self.assertLessEqual(max(in_flight[1:3]), 2)

    def test_under_resend_a_crash_queues_them_again(self) -> None:
        api, bureau = self.scene(endpoint={"concurrency": 1, "on_unknown_outcome": "resend"})
        api.on_track(lambda r: lost("hang", "hang") if r.of_card == 0 else None)
        bureau.drop("a.csv", manifests.cards(["card-1"]))
        bureau.start()
        bureau.wait(lambda: api.requests, "the request")
        bureau.kill()
        bureau.start()
        bureau.wait_manifest("a.csv")
        bureau.stop()
        self.assertEqual(len(api.requests), 2)
        self.sound(bureau, twice=(("card-1", "SHIPMENT"),))

    def test_the_same_file_again_sends_nothing(self) -> None:
        api, bureau = self.scene()
        manifest = manifests.realistic(30)
        bureau.drop("a.csv", manifest)
        bureau.start()
        bureau.wait_manifest("a.csv")
        bureau.drop("again.csv", manifest)
        bureau.wait_manifest("again.csv", "duplicate")
        bureau.stop()
        self.assertEqual(len(api.requests), 30)
        self.sound(bureau)

    def test_a_cumulative_export_sends_only_what_is_new(self) -> None:
        api, bureau = self.scene()
        whole = manifests.realistic(30)
        bureau.drop("monday.csv", Manifest(whole.rows[:20]))
        bureau.start()
        bureau.wait_manifest("monday.csv")
        bureau.drop("tuesday.csv", whole)
        tuesday = bureau.wait_manifest("tuesday.csv")
        bureau.stop()
        self.assertEqual((tuesday["duplicate"], tuesday["accepted"], len(api.requests)), (20, 10, 30))
        self.sound(bureau)

    def test_a_row_in_doubt_is_not_sent_because_a_file_repeats_it(self) -> None:
        api, bureau = self.scene()
        bureau.drop("a.csv", manifests.cards(["close-1"]))
        bureau.start()
        bureau.wait_row("close-1", "in_doubt")
        bureau.drop("b.csv", manifests.cards(["close-1", "card-3"]))
        manifest = bureau.wait_manifest("b.csv")
        bureau.stop()
        self.assertEqual((manifest["duplicate"], manifest["accepted"]), (1, 1))
        self.assertEqual(len(api.of_card("close-1")), 1)


class P5OneCardAtATimeInOrder(Scene):
    def test_rows_of_a_card_go_in_the_order_of_manifest_and_line(self) -> None:
        api, bureau = self.scene(endpoint={"concurrency": 16})
        api.delay = 0.01
        kinds = ("PRODUCTION", "SHIPMENT", "RETURN")
        for n, name in enumerate(("1.csv", "2.csv")):
            rows = [Row(f"card-{i}", kind, site=f"Lyon {n}") for kind in kinds for i in range(6)]  # under 20: not paused as repeats
            bureau.drop(name, Manifest(rows))
            os.utime(bureau.in_directory / name, (1_700_000_000 + n, 1_700_000_000 + n))
        bureau.start()
        bureau.wait_manifest("2.csv")
        bureau.wait_manifest("1.csv")
        bureau.stop()
        for i in range(6):
            self.assertEqual([(r.type, f"Lyon {n}" in r.body) for n in (0, 1) for r in api.of_card(f"card-{i}")[3 * n:3 * n + 3]],
                             [(kind, True) for _ in (0, 1) for kind in kinds])
        self.sound(bureau)

    def test_two_rows_of_a_card_are_never_in_flight_together(self) -> None:
        api, bureau = self.scene(endpoint={"concurrency": 16})
        together: list[str] = []
        under_way: set[str] = set()

        def look(request: Request) -> None:
            if request.card in under_way:
                together.append(request.card)
            under_way.add(request.card)
            time.sleep(0.02)
            under_way.discard(request.card)
        api.on_track(look)
        rows = [Row(f"card-{i % 5}", kind) for kind in ("PRODUCTION", "SHIPMENT", "RETURN") for i in range(5)]
        bureau.drop("a.csv", Manifest(rows))
        bureau.start()
        bureau.wait_manifest("a.csv")
        self.assertEqual(together, [])

    def test_a_waiting_row_holds_back_its_card_and_no_other(self) -> None:
        api, bureau = self.scene(endpoint={"concurrency": 1})
        bureau.drop("a.csv", Manifest([Row("close-1", "PRODUCTION"), Row("close-1", "SHIPMENT"), Row("card-2"), Row("card-3")]))
        bureau.start()
        bureau.wait_states(in_doubt=1, queued=1, accepted=2)
        self.assertEqual(len(api.of_card("close-1")), 1)
        held_back = bureau.row("close-1", "SHIPMENT")
        self.assertEqual(held_back["waits_for"], f"row {bureau.row('close-1', 'PRODUCTION')['row_id']}")
        bureau.stop()
        self.sound(bureau)


class P6ItIsUsNotTheRow(Scene):
    def test_a_dead_network_refuses_expires_and_costs_nothing(self) -> None:
        api, bureau = self.scene(endpoint={"retry": QUICK | {"give_up_after": "1s"}})
        api.set_down(True)
        bureau.drop("a.csv", manifests.realistic(20))
        bureau.start()
        bureau.wait(lambda: bureau.endpoint()["reason"] == "outage", "the pause")
        time.sleep(1.5)  # longer than give_up_after
        self.assertEqual(sum(bureau.states().get(state, 0) for state in ("queued", "sending")), 20)
        api.set_down(False)
        bureau.wait_manifest("a.csv")
        bureau.stop()
        self.assertEqual(bureau.states(), {"accepted": 20})
        self.sound(bureau)

    def test_lost_credentials_refuse_and_expire_nothing(self) -> None:
        api, bureau = self.scene(endpoint={"retry": QUICK | {"give_up_after": "1s"}})
        api.set_token_behaviour("401")
        bureau.drop("a.csv", manifests.realistic(20))
        bureau.start()
        bureau.wait(lambda: bureau.endpoint()["reason"] == "credentials", "the pause")
        time.sleep(1.5)
        self.assertEqual((bureau.states(), api.requests), ({"queued": 20}, []))
        api.set_token_behaviour("ok")
        bureau.wait_manifest("a.csv")
        bureau.stop()
        self.assertEqual(bureau.states(), {"accepted": 20})

    def test_an_outage_of_d1_refuses_and_expires_nothing(self) -> None:
        api, bureau = self.scene(endpoint={"retry": QUICK | {"give_up_after": "1s"}})
        api.outage(503)
        bureau.drop("a.csv", manifests.realistic(20))
        bureau.start()
        bureau.wait(lambda: bureau.endpoint()["reason"] == "outage", "the pause")
        time.sleep(1.5)
        self.assertEqual({"refused", "expired", "in_doubt"} & bureau.states().keys(), set())
        api.outage()
        bureau.wait_manifest("a.csv")
        bureau.stop()
        self.assertEqual(bureau.states(), {"accepted": 20})
        self.sound(bureau)

    def test_a_pause_survives_a_restart(self) -> None:
        api, bureau = self.scene(endpoint={"retry": {"first": "60s", "most": "60s"}})
        api.set_token_behaviour("403")
        bureau.drop("a.csv", manifests.cards(["card-1"]))
        bureau.start()
        until = bureau.wait_endpoint("paused", "credentials")["paused_until"]
        bureau.kill()
        api.set_token_behaviour("ok")
        bureau.start()
        time.sleep(0.3)
        now = bureau.endpoint()
        bureau.stop()
        self.assertEqual((now["state"], now["reason"], api.requests), ("paused", "credentials", []))
        self.assertLess(abs(seconds_of(now["paused_until"]) - seconds_of(until)), 2)


class P7RecordedBeforeDone(Scene):
    def test_no_accepted_row_is_ever_without_its_operation_id(self) -> None:
        api, bureau = self.scene()
        bureau.drop("a.csv", manifests.realistic(300))
        bureau.start()

        def settled() -> bool:
            self.assertEqual(bureau.rows("state = 'accepted' AND coalesce(operation_id, '') = ''"), [])
            return bool(bureau.manifests()) and bureau.manifest("a.csv")["state"] == "settled"
        bureau.wait(settled, "the end of it", 20)
        bureau.stop()
        self.assertEqual({row["operation_id"] for row in bureau.rows()}, {r.operationId for r in api.requests})

    def test_after_a_kill_each_accepted_row_has_the_id_that_d1_gave(self) -> None:
        api, bureau = self.scene(endpoint={"concurrency": 16})
        bureau.drop("a.csv", manifests.realistic(400))
        bureau.start()
        bureau.wait(lambda: bureau.states().get("accepted", 0) > 50, "accepted rows")
        bureau.kill()
        given = {r.operationId: (r.card, r.type) for r in api.requests}
        self.assertEqual([row for row in bureau.rows("state = 'accepted'")
                          if given.get(row["operation_id"]) != (row["card_id"], row["tracking_type"])], [])


class P8NothingListens(Scene):
    @staticmethod
    def listening(pid: int) -> list[str]:
        """The process's TCP and UDP sockets that others could reach."""
        inodes = set()
        if not os.access(f"/proc/{pid}/fd", os.R_OK):
            raise unittest.SkipTest("needs root: the daemon keeps others from looking into its /proc")
        for fd in Path(f"/proc/{pid}/fd").iterdir():
            try:
                target = os.readlink(fd)
            except OSError:
                continue  # closed meanwhile
            if target.startswith("socket:["):
                inodes.add(target[8:-1])
        found = []
        for name in ("tcp", "tcp6", "udp", "udp6"):
            path = Path(f"/proc/{pid}/net/{name}")
            for line in path.read_text().splitlines()[1:] if path.exists() else []:
                cells = line.split()
                open_to_others = cells[3] == "0A" or (name.startswith("udp") and cells[2].endswith(":0000"))
                if cells[9] in inodes and open_to_others:
                    found.append(f"{name} {cells[1]}")
        return found

    def test_no_port_is_opened_at_rest_or_at_work(self) -> None:
        api, bureau = self.scene()
        api.delay = 0.02
        bureau.start()
        self.assertEqual(self.listening(bureau.pid), [])
        bureau.drop("a.csv", manifests.realistic(100))
        bureau.wait(lambda: len(api.requests) > 20, "requests")
        self.assertEqual(self.listening(bureau.pid), [])

    def test_the_check_sees_a_listener(self) -> None:
        with ScriptedApi():
            self.assertTrue(any(s.startswith("tcp ") for s in self.listening(os.getpid())))


class ReadersTest(Scene):
    def test_the_database_can_be_read_while_the_daemon_runs_and_after(self) -> None:
        _, bureau = self.scene()
        bureau.drop("a.csv", manifests.realistic(10))
        bureau.start()
        bureau.wait_manifest("a.csv")
        bureau.stop()
        self.assertEqual(bureau.states(), {"accepted": 10})
        with bureau.connection() as connection, self.assertRaises(sqlite3.OperationalError):
            connection.execute("DELETE FROM status")

    def test_until_idle_ends_with_0_where_all_went_well_and_65_where_not(self) -> None:
        _, bureau = self.scene()
        bureau.drop("a.csv", manifests.realistic(10))
        self.assertEqual(bureau.until_idle(), 0)
        bureau.drop("b.csv", manifests.cards(["h400-1", "card-1"]))
        self.assertEqual(bureau.until_idle(), 65)
        self.sound(bureau)

    def test_a_second_daemon_ends_with_75(self) -> None:
        _, bureau = self.scene()
        bureau.start()
        second = bureau.spawn("run", notify=False)
        self.assertEqual(wait_for(lambda: second.poll() is not None and [second.returncode]), [75])


if __name__ == "__main__":
    unittest.main()
