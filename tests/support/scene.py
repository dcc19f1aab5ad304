"""What most end-to-end tests begin with and end with."""

from __future__ import annotations

import unittest
from collections.abc import Sequence
from typing import Any

import oracles
from harness import Bureau
from manifests import Event
from scripted_api import ScriptedApi


class Scene(unittest.TestCase):
    """An API and a bureau for one test."""

    def scene(self, **changes: Any) -> tuple[ScriptedApi, Bureau]:
        api = ScriptedApi().start()
        self.addCleanup(api.stop)
        bureau = Bureau(api, **changes)
        self.addCleanup(bureau.close)
        return api, bureau

    def sound(self, bureau: Bureau, twice: Sequence[Event] = ()) -> None:
        self.assertEqual(oracles.all_of(bureau, twice=twice), [])
