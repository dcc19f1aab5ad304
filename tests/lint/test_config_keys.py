"""The lint sees keys that a document lacks, has too many, or has with another default."""

from __future__ import annotations

import unittest

import config_keys
from config_keys import Key

SOURCE = '''#define MOST "4096"
static const struct mapping_key top_keys[] = {
	{ .name = "version", .take = take_version, .preset = "1" },
	{ .name = "max",
	  .take = value_integer,
	  .preset = MOST,
	  .least = "1" },
	{ 0 },
};
'''
KEYS = [Key("top", "version", "1"), Key("top", "max", "4096", "1")]
FILE = "# Words: nothing.\nversion: 1\n# max: 4096\nendpoints:\n  - name: x\nsources:\n  - name: y\n"


class ConfigKeysTest(unittest.TestCase):
    def test_keys_are_read_with_their_defaults_and_bounds(self) -> None:
        self.assertEqual(config_keys.keys_of({"a.c": SOURCE}), KEYS)

    def test_a_file_that_has_all_keys_has_no_fault(self) -> None:
        names = [Key("endpoint", "name"), Key("source", "name"), Key("top", "endpoints"), Key("top", "sources")]
        self.assertEqual(config_keys.file_faults(KEYS + names, FILE), [])

    def test_what_is_missing_too_much_or_another_default_is_named(self) -> None:
        faults = config_keys.file_faults([*KEYS, Key("top", "words", "1")], FILE.replace("max: 4096", "max: 40961").replace("version", "verzion"))
        self.assertEqual(faults, ["top.version is not there", "top.max is not shown with its default 4096", "top.words is not there",
                                  "endpoints is no key of top", "sources is no key of top", "verzion is no key of top",
                                  "name is no key of endpoints", "name is no key of sources"])

    def test_the_manual_has_to_name_key_default_and_bounds(self) -> None:
        self.assertEqual(config_keys.manual_faults(KEYS, ".It Cm version\nAlways 1.\n.It Cm max\nDefault 4096.\n"), [])
        self.assertEqual(config_keys.manual_faults(KEYS, ".It Cm version\nAlways 1.\nDefault 409.\n"),
                         ["top.max is not there", "top.max: 4096 (default, least or most) is not there"])


if __name__ == "__main__":
    unittest.main()
