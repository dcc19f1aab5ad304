"""The lint of the schema sees what it is for."""

from __future__ import annotations

import unittest

import schema


class SchemaTest(unittest.TestCase):
    def test_strict_tables_pass(self) -> None:
        self.assertEqual(schema.faults("CREATE TABLE a (x TEXT, y INTEGER) STRICT;"
                                       "CREATE TABLE b (x BLOB PRIMARY KEY) STRICT, WITHOUT ROWID;"), [])

    def test_a_table_that_is_not_strict_is_seen(self) -> None:
        self.assertEqual(schema.faults("CREATE TABLE a (x TEXT) STRICT; CREATE TABLE b (x TEXT);"), ["table b is not STRICT"])

    def test_a_string_column_is_seen(self) -> None:
        self.assertIn("a.x is declared STRING", schema.faults("CREATE TABLE a (x STRING);"))

    def test_an_empty_schema_is_a_fault(self) -> None:
        self.assertEqual(schema.faults(""), ["there is no table at all"])


if __name__ == "__main__":
    unittest.main()
