"""Commands are found where a document shows them, and nowhere else."""

from __future__ import annotations

import unittest

from document_blocks import commands_of, headings_of, links_of

DOCUMENT = """# A title

## One

```sh
trackbridge check           # exit 78
a one \\
    --two

# only a comment
trackbridge status --check  # exit 0, 1 or 2
```

```
CARD_REF;STATUS
## no heading
```

## Two: the `other`

```
trackbridge list
```

```yaml
trackbridge: no
```

See [two](#two-the-other).
"""


class DocumentBlocksTest(unittest.TestCase):
    def test_commands_have_their_chapter_their_line_and_their_ends(self) -> None:
        found = [(c.chapter, c.line, c.text, sorted(c.statuses)) for c in commands_of(DOCUMENT)]
        self.assertEqual(found, [("One", 6, "trackbridge check", [78]), ("One", 7, "a one --two", [0]),
                                 ("One", 11, "trackbridge status --check", [0, 1, 2]), ("Two: the `other`", 22, "trackbridge list", [0])])

    def test_links_are_compared_with_headings(self) -> None:
        self.assertEqual(headings_of(DOCUMENT), {"a-title", "one", "two-the-other"})
        self.assertEqual(links_of(DOCUMENT), {"two-the-other"})


if __name__ == "__main__":
    unittest.main()
