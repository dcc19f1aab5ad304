"""Sending over HTTP/2: many requests on one connection, how connections are chosen, left and ended, and which protocol is spoken."""

from __future__ import annotations

import unittest

import behaviours
import http2_behaviours
import manifests
import oracles
import pki
from harness import Bureau
from scripted_api import ScriptedApi
from test_http2 import EITHER, QUICK, heads_of


class Scenes:
    class Scene(unittest.TestCase):
        """An API that speaks h2 (or what is given) and a bureau for one test."""

        def scene(self, *protocols: str, **endpoint: object) -> tuple[ScriptedApi, Bureau]:
            api = ScriptedApi(protocols=protocols or ("h2",)).start()
            self.addCleanup(api.stop)
            bureau = Bureau(api, endpoint={"http": 2, "retry": QUICK} | endpoint)
            self.addCleanup(bureau.close)
            return api, bureau

        def settles(self, bureau: Bureau, name: str, rows: int, **states: int) -> None:
            """A manifest is dropped and comes to rest with so many rows in each state."""
            bureau.drop(f"{name}.csv", manifests.cards([f"{name}-{i}" for i in range(rows)]))
            if not bureau.daemon:
                bureau.start()
            bureau.wait(lambda: bureau.manifest(f"{name}.csv")["rows"] == rows and bureau.at_rest(), f"the end of {name}", 30)
            manifest = bureau.manifest(f"{name}.csv")
            self.assertEqual({state: manifest[state] for state in states}, states)

        def sound(self, bureau: Bureau) -> None:
            bureau.stop()
            self.assertEqual(oracles.all_of(bureau), [])


class TrafficTest(Scenes.Scene):
    """Many requests side by side on one connection."""

    def test_32_requests_in_flight_share_one_connection(self) -> None:
        api, bureau = self.scene(concurrency=32)
        api.delay = 0.05
        self.settles(bureau, "card", 400, accepted=400)
        self.assertEqual((api.connections, len(api.token_requests)), (1, 1))
        self.assertGreater(api.most_in_flight, 16)
        self.sound(bureau)

    def test_a_storm_of_401_costs_one_token(self) -> None:
        api, bureau = self.scene(concurrency=8)
        self.settles(bureau, "a", 1, accepted=1)
        api.revoke_all_tokens()
        api.delay = 0.1  # so that all eight have the old token
        self.settles(bureau, "b", 29, accepted=29)
        self.assertEqual(len(api.token_requests), 2)
        self.sound(bureau)

    def test_503_repeated_pauses_and_costs_no_row_anything(self) -> None:
        api, bureau = self.scene()
        api.outage(503)
        bureau.drop("a.csv", manifests.cards([f"card-{i}" for i in range(30)]))
        bureau.start()
        bureau.wait_endpoint("paused", "outage")
        api.outage()
        bureau.wait_states(accepted=30)
        self.assertEqual(api.connections, 1)
        self.sound(bureau)

    def test_a_connection_that_is_lost_puts_what_is_on_it_in_doubt_and_nothing_else(self) -> None:
        api, bureau = self.scene(concurrency=16)
        api.delay = 1
        bureau.drop("a.csv", manifests.cards([f"card-{i}" for i in range(60)]))
        bureau.start()
        bureau.wait(lambda: api.in_flight == 16 == len(api.requests), "16 requests in flight")
        api.drop_connections()
        api.delay = 0
        bureau.wait(bureau.at_rest, "the end of it")
        self.assertEqual(bureau.states(), {"in_doubt": 16, "accepted": 44})
        self.assertEqual({r.card for r in api.requests[:16]}, {row["card_id"] for row in bureau.rows("state = 'in_doubt'")})
        self.sound(bureau)

    def test_a_server_that_goes_down_in_good_order_puts_nothing_in_doubt_that_it_read(self) -> None:
        api, bureau = self.scene(concurrency=8)
        api.delay = 0.2
        bureau.drop("a.csv", manifests.cards([f"card-{i}" for i in range(40)]))
        bureau.start()
        bureau.wait(lambda: api.in_flight == 8, "8 requests in flight")
        api.set_down(True)
        bureau.wait_endpoint("paused", "outage")
        api.set_down(False)
        bureau.wait(bureau.at_rest, "the end of it")
        for row in bureau.rows("state <> 'accepted'"):
            self.assertEqual((row["state"], api.of_card(row["card_id"])), ("in_doubt", []))
        self.sound(bureau)


class MixedTest(Scenes.Scene):
    """Faults among good rows, many in flight: a fault of the connection reaches rows that did nothing, and none is sent twice for it.

    Left out: frames that are not allowed. libcurl tells one stream of them, and all others on the connection run into their time-out.
    """

    FAULTS = ("unreadclose", "unreadreset", "below", "unreadbelow", "at", "atdone", "doneat", "halfheaders", "headersreset", "early202rst",
              "early503rst", "upper", "nostatus", "busy", "stale", "drop", "reset", "cutbody", "huge", "drip", "h400", "h502",
              *(f"rst{when}{code}" for when in ("", "unread", "after", "later") for code in (0, 2, 7, 8, 11, 13)))

    def test_none_is_lost_and_none_is_sent_twice(self) -> None:
        api, bureau = self.scene(concurrency=16, timeout="10s")
        api.delay = 0.003
        cards = [f"{self.FAULTS[i // 8]}-{i}" if i % 8 == 3 else f"card-{i}" for i in range(8 * len(self.FAULTS))]
        bureau.drop("a.csv", manifests.cards(cards))
        bureau.start()
        bureau.wait(bureau.at_rest, "the end of it", 60)
        rows = bureau.rows()
        self.assertEqual([row["card_id"] for row in rows if heads_of(api, row["card_id"]) > row["attempts"]], [])
        self.assertEqual({row["state"] for row in rows} - {"accepted", "in_doubt", "refused"}, set())
        self.settles(bureau, "after", 50, accepted=50)
        self.sound(bureau)


class ConnectionsTest(Scenes.Scene):
    """How connections are chosen, left and ended."""

    def test_one_on_which_nothing_comes_any_more_is_not_used_again(self) -> None:
        api, bureau = self.scene(concurrency=1, timeout="3s", connect_timeout="3s")
        api.on_track(lambda r: http2_behaviours.CARDS["stuck"][0] if r.card == "card-3" else None)
        self.settles(bureau, "card", 20, accepted=19, in_doubt=1)
        self.assertEqual((bureau.row("card-3")["state"], api.connections), ("in_doubt", 2))
        self.sound(bureau)

    def test_one_on_which_others_are_answered_outlives_a_time_out(self) -> None:
        api, bureau = self.scene(concurrency=2, timeout="2s", connect_timeout="2s", rate=20)
        api.on_track(lambda r: behaviours.lost("hang", "hang") if r.card == "card-3" else None)
        self.settles(bureau, "card", 60, accepted=59, in_doubt=1)
        self.assertEqual(api.connections, 1)
        self.sound(bureau)

    def test_a_server_that_allows_fewer_streams_is_given_more_connections(self) -> None:
        api, bureau = self.scene(concurrency=8)
        api.http2.streams, api.delay = 2, 0.02
        self.settles(bureau, "card", 100)
        # Requests that libcurl puts on a new connection before the server has said how many it takes are refused, and in doubt by the rule.
        self.assertEqual({row["card_id"] for row in bureau.rows("state <> 'accepted'")}, set(api.refused_streams))
        self.assertEqual({row["state"] for row in bureau.rows()} - {"accepted", "in_doubt"}, set())
        self.assertLess(len(api.refused_streams), 20)
        self.assertLessEqual(api.connections, 8)
        self.sound(bureau)

    def test_one_that_ends_after_so_many_requests_costs_nothing_with_one_in_flight(self) -> None:
        api, bureau = self.scene(concurrency=1)
        api.requests_per_connection = 20
        self.settles(bureau, "card", 100, accepted=100)
        self.assertEqual((len(api.requests), max(row["attempts"] for row in bureau.rows())), (100, 1))
        self.sound(bureau)

    def test_requests_that_cross_a_goaway_are_in_doubt_although_it_refuses_them(self) -> None:
        api, bureau = self.scene(concurrency=8)
        api.requests_per_connection, api.delay = 20, 0.005
        bureau.drop("a.csv", manifests.cards([f"card-{i}" for i in range(100)]))
        bureau.start()
        bureau.wait(bureau.at_rest, "the end of it", 30)
        for row in bureau.rows():
            with self.subTest(row["card_id"]):
                self.assertIn(row["state"], EITHER)
                self.assertLessEqual(len(api.of_card(row["card_id"])), 1)
                self.assertLessEqual(heads_of(api, row["card_id"]), row["attempts"])
        self.sound(bureau)

    def test_an_idle_one_that_the_server_ends_costs_nothing(self) -> None:
        api, bureau = self.scene()
        api.http2.idle = 0.2
        for n in range(1, 4):
            self.settles(bureau, f"wave{n}", 10, accepted=10)
            bureau.wait(lambda: not api.open_connections, "the end of the idle connection")
        self.assertEqual(max(row["attempts"] for row in bureau.rows()), 1)
        self.sound(bureau)

    def test_a_certificate_that_is_swapped_pauses_and_then_goes_on(self) -> None:
        api, bureau = self.scene()
        self.settles(bureau, "a", 10, accepted=10)
        api.swap_certificate("expired-server")
        bureau.wait(lambda: not api.open_connections, "the end of the connection")
        bureau.drop("b.csv", manifests.cards(["card-1"]))
        bureau.wait_endpoint("paused", "certificate")
        api.swap_certificate("server")
        bureau.wait_row("card-1", "accepted")
        self.sound(bureau)

    def test_a_handshake_that_fails_puts_the_row_back(self) -> None:
        for how in ("close", "reset", "garbage", "hang"):
            with self.subTest(how):
                api, bureau = self.scene(connect_timeout="1s")
                self.settles(bureau, "a", 1, accepted=1)  # so that there is a token
                api.accepting = how  # type: ignore[assignment]
                api.end_idle_connections()
                bureau.wait(lambda: not api.open_connections, "the end of the connection")
                bureau.drop("b.csv", manifests.cards(["card-1"]))
                bureau.wait(lambda: len(api.refused_handshakes) >= 2, "handshakes")
                self.assertEqual(api.of_card("card-1"), [])
                api.accepting = "serve"
                api.drop_connections()
                bureau.wait_row("card-1", "accepted")
                self.sound(bureau)

    def test_a_client_certificate_that_is_refused_pauses_with_certificate(self) -> None:
        keys = pki.shared()
        api, bureau = self.scene(tls={"certificate": str(keys / "other-client.pem"), "key": str(keys / "other-client.key")})
        bureau.drop("a.csv", manifests.cards(["card-1"]))
        bureau.start()
        bureau.wait_endpoint("paused", "certificate")
        bureau.stop()
        self.assertEqual((bureau.row("card-1")["state"], api.requests), ("queued", []))


class ProtocolTest(Scenes.Scene):
    """Which protocol is spoken: http: 2 and auto offer both by ALPN and take what the server chooses, http: 1.1 offers nothing else."""

    def spoken(self, http: object, *protocols: str) -> tuple[ScriptedApi, Bureau, str]:
        api, bureau = self.scene(*protocols, http=http, concurrency=4)
        api.delay = 0.05
        self.settles(bureau, "card", 20, accepted=20)
        self.sound(bureau)
        return api, bureau, "h2" if api.connections == 1 else "http/1.1"

    def test_2_and_auto_speak_http_2_where_the_server_has_it(self) -> None:
        for http in (2, "auto"):
            for protocols in (("h2",), ("h2", "http/1.1")):
                with self.subTest(http=http, protocols=protocols):
                    self.assertEqual(self.spoken(http, *protocols)[2], "h2")

    def test_2_and_auto_fall_back_where_the_server_has_http_1_1_alone(self) -> None:
        for http in (2, "auto"):
            with self.subTest(http=http):
                self.assertEqual(self.spoken(http, "http/1.1")[2], "http/1.1")

    def test_1_1_is_spoken_where_the_server_has_both(self) -> None:
        self.assertEqual(self.spoken(1.1, "h2", "http/1.1")[2], "http/1.1")

    def test_1_1_and_a_server_without_it_pause_with_outage_and_cost_nothing(self) -> None:
        api, bureau = self.scene("h2", http=1.1)
        bureau.drop("a.csv", manifests.cards(["card-1"]))
        bureau.start()
        bureau.wait_endpoint("paused", "outage")
        bureau.stop()
        self.assertEqual((bureau.row("card-1")["state"], api.requests), ("queued", []))


if __name__ == "__main__":
    unittest.main()
