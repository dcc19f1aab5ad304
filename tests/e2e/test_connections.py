"""Connections are kept, bounded, and given up before the server does it."""

from __future__ import annotations

import time
import unittest

import manifests
import oracles
from relay import Relay
from test_hygiene import Scene


class ConnectionTest(Scene):
    def test_connections_are_kept_and_bounded(self) -> None:
        api = self.api()
        with Relay(api.port) as relay:
            bureau = self.bureau(api, f"https://localhost:{relay.port}", concurrency=4)
            bureau.start()
            self.sends(bureau, 400)
            # One for each request in flight, and one for the token.
            self.assertLessEqual(relay.connections, 5)
            self.assertLessEqual(relay.most_open, 5)
        self.assertEqual(len(api.requests), 400)

    def test_connections_that_break_are_replaced_and_stay_bounded(self) -> None:
        api = self.api()
        with Relay(api.port) as relay:
            api.requests_per_connection = 7
            bureau = self.bureau(api, f"https://localhost:{relay.port}", concurrency=4)
            bureau.start()
            self.sends(bureau, 200)
            self.assertLess(relay.connections, 60)
            # Beside them those that we closed, and whose end the other side has yet to see.
            self.assertLessEqual(relay.most_open, 10)

    def test_a_connection_that_was_idle_for_20_s_is_not_used_again(self) -> None:
        api = self.api()
        bureau = self.started(api, concurrency=1)
        time.sleep(1)
        bureau.drop("a.csv", manifests.cards(["early"]))
        bureau.wait_manifest("a.csv")
        time.sleep(21.5)
        bureau.drop("b.csv", manifests.cards(["late"]))
        bureau.wait_manifest("b.csv")
        bureau.stop()
        self.assertEqual(api.of_card("early")[0].connection, api.of_card("first")[0].connection)
        self.assertEqual(api.of_card("late")[0].nth, 1)
        self.assertEqual(oracles.all_of(bureau), [])


if __name__ == "__main__":
    unittest.main()
