"""The reader of Prometheus' text format takes what is right and sees what is not."""

from __future__ import annotations

import unittest

import prometheus

GOOD = '''# HELP t_rows Rows, "all" of them: \\\\ and \\n.
# TYPE t_rows gauge
t_rows{source="a\\"b\\\\c\\nd",state="queued"} 3
t_rows{source="e",state="queued"} -1.5e3
# HELP t_up Nothing but help.
# TYPE t_up gauge
# HELP t_s How long.
# TYPE t_s histogram
t_s_bucket{le="0.1"} 1
t_s_bucket{le="+Inf"} 2
t_s_sum 0.300
t_s_count 2
# HELP t_n_total Some.
# TYPE t_n_total counter
t_n_total 7
'''

BAD = [  # what is replaced, by what
    ("# HELP t_n_total Some.\n", ""),
    ("# TYPE t_n_total counter\n", ""),
    ("# HELP t_n_total Some.\n# TYPE t_n_total counter\n", "# TYPE t_n_total counter\n# HELP t_n_total Some.\n"),
    ("# HELP t_n_total Some.", "# HELP t_up Some."),
    ("t_n_total 7\n", "t_n_total 7"),
    ("t_n_total 7\n", "t_n_total 7\n\n"),
    ("t_n_total 7\n", "t_n_total 7\nt_n_total 7\n"),
    ("t_n_total 7\n", "t_n_total 7\nt_up 1\n"),
    ("t_n_total 7", "t_n_total -7"),
    ("t_n_total 7", "t_n_total seven"),
    ("t_n_total 7", "t_n_total  7"),
    ("t_n_total 7", "t_n_total 0x7"),
    ("t_n_total", "t_n"),
    ("t_up", "t-up"),
    ("t_up", "t_up_total"),
    ('source="e"', "source=e"),
    ('source="e"', 'source="\\e"'),
    ('source="e"', 'source="e"e"'),
    ('source="e"', '1source="e"'),
    ('source="e",', 'source="e",source="e",'),
    ('source="e",', 'source="e",,'),
    ('source="e",', 'source="e" '),
    ('t_s_bucket{le="0.1"} 1', 't_s_bucket{le="0.1"} 3'),
    ('le="0.1"', 'le="x"'),
    ('le="+Inf"', 'le="5"'),
    ('le="+Inf"', 'le="0.05"'),
    ("t_s_count 2", "t_s_count 3"),
    ("t_s_count 2\n", ""),
    ("t_s_sum 0.300\n", ""),
    ('t_s_bucket{le="0.1"} 1\nt_s_bucket{le="+Inf"} 2\n', ""),
    ("t_s_sum 0.300", 't_s_sum{le="1"} 0.300'),
]


class ReaderTest(unittest.TestCase):
    def test_what_is_right_is_read(self) -> None:
        families = prometheus.parse(GOOD)
        self.assertEqual([family.type for family in families.values()], ["gauge", "gauge", "histogram", "counter"])
        self.assertEqual(families["t_rows"].samples[("t_rows", (("source", 'a"b\\c\nd'), ("state", "queued")))], 3)
        self.assertEqual(families["t_rows"].samples[("t_rows", (("source", "e"), ("state", "queued")))], -1500)

    def test_each_fault_is_seen(self) -> None:
        for old, new in BAD:
            with self.subTest(old=old, new=new):
                self.assertIn(old, GOOD)
                with self.assertRaises(prometheus.Fault):
                    prometheus.parse(GOOD.replace(old, new))

    def test_a_counter_that_falls_or_goes_is_seen(self) -> None:
        before = prometheus.parse(GOOD)
        self.assertEqual(prometheus.Metrics(GOOD).fell_from(before), [])
        self.assertEqual(prometheus.Metrics(GOOD.replace("total 7", "total 8")).fell_from(before), [])
        self.assertEqual(len(prometheus.Metrics(GOOD.replace("total 7", "total 6")).fell_from(before)), 1)
        self.assertEqual(len(prometheus.Metrics(GOOD.replace("t_n_total 7", 't_n_total{a="b"} 7')).fell_from(before)), 1)


if __name__ == "__main__":
    unittest.main()
