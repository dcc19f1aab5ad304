"""HPACK by the examples of RFC 7541, appendix C, and what is no HPACK."""

from __future__ import annotations

import unittest

import hpack
from hpack import Decoder

REQUESTS = [
    [(":method", "GET"), (":scheme", "http"), (":path", "/"), (":authority", "www.example.com")],
    [(":method", "GET"), (":scheme", "http"), (":path", "/"), (":authority", "www.example.com"), ("cache-control", "no-cache")],
    [(":method", "GET"), (":scheme", "https"), (":path", "/index.html"), (":authority", "www.example.com"), ("custom-key", "custom-value")],
]
LATER = "Mon, 21 Oct 2013 20:13:22 GMT"
COOKIE = "foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1"
ANSWERS = [
    [(":status", "302"), ("cache-control", "private"), ("date", LATER.replace("22 G", "21 G")), ("location", "https://www.example.com")],
    [(":status", "307"), ("cache-control", "private"), ("date", LATER.replace("22 G", "21 G")), ("location", "https://www.example.com")],
    [(":status", "200"), ("cache-control", "private"), ("date", LATER), ("location", "https://www.example.com"),
     ("content-encoding", "gzip"), ("set-cookie", COOKIE)],
]


class AppendixC(unittest.TestCase):
    def decodes(self, decoder: Decoder, blocks: list[str], expected: list[list[hpack.Field]], sizes: list[int]) -> None:
        for block, fields, size in zip(blocks, expected, sizes, strict=True):
            self.assertEqual(decoder.decode(bytes.fromhex(block)), fields)
            self.assertEqual(decoder.size, size)

    def test_c1_integers(self) -> None:
        for hexed, bits, value in (("0a", 5, 10), ("1f9a0a", 5, 1337), ("2a", 8, 42)):
            data = bytes.fromhex(hexed)
            self.assertEqual(hpack.integer(data, 0, bits), (value, len(data)))
            self.assertEqual(hpack.integer_bytes(value, bits), data)

    def test_c2_fields(self) -> None:
        for hexed, field, size in (("400a637573746f6d2d6b65790d637573746f6d2d686561646572", ("custom-key", "custom-header"), 55),
                                   ("040c2f73616d706c652f70617468", (":path", "/sample/path"), 0),
                                   ("100870617373776f726406736563726574", ("password", "secret"), 0), ("82", (":method", "GET"), 0)):
            decoder = Decoder()
            self.assertEqual(decoder.decode(bytes.fromhex(hexed)), [field])
            self.assertEqual(decoder.size, size)

    def test_c3_requests_without_huffman_code(self) -> None:
        self.decodes(Decoder(), ["828684410f7777772e6578616d706c652e636f6d", "828684be58086e6f2d6361636865",
                                 "828785bf400a637573746f6d2d6b65790c637573746f6d2d76616c7565"], REQUESTS, [57, 110, 164])

    def test_c4_requests_with_huffman_code(self) -> None:
        self.decodes(Decoder(), ["828684418cf1e3c2e5f23a6ba0ab90f4ff", "828684be5886a8eb10649cbf",
                                 "828785bf408825a849e95ba97d7f8925a849e95bb8e8b4bf"], REQUESTS, [57, 110, 164])

    def test_c5_answers_without_huffman_code_in_a_small_table(self) -> None:
        first = ("4803333032580770726976617465611d4d6f6e2c203231204f637420323031332032303a31333a323120474d54"
                 "6e1768747470733a2f2f7777772e6578616d706c652e636f6d")
        third = ("88c1611d4d6f6e2c203231204f637420323031332032303a31333a323220474d54c05a04677a69707738666f6f3d4153444a4b48514b425a58"
                 "4f5157454f50495541585157454f49553b206d61782d6167653d333630303b2076657273696f6e3d31")
        self.decodes(Decoder(256), [first, "4803333037c1c0bf", third], ANSWERS, [222, 222, 215])

    def test_c6_answers_with_huffman_code_in_a_small_table(self) -> None:
        first = "488264025885aec3771a4b6196d07abe941054d444a8200595040b8166e082a62d1bff6e919d29ad171863c78f0b97c8e9ae82ae43d3"
        third = ("88c16196d07abe941054d444a8200595040b8166e084a62d1bffc05a839bd9ab77ad94e7821dd7f2e6c7b335dfdfcd5b3960d5af2708"
                 "7f3672c1ab270fb5291f9587316065c003ed4ee5b1063d5007")
        self.decodes(Decoder(256), [first, "4883640effc1c0bf", third], ANSWERS, [222, 222, 215])


class OwnTest(unittest.TestCase):
    def test_what_is_encoded_is_decoded_and_leaves_no_trace(self) -> None:
        fields = [(":status", "202"), ("date", LATER), ("x-big", "é" * 5000), ("x-empty", "")]
        decoder = Decoder()
        self.assertEqual(decoder.decode(hpack.encode(fields)), fields)
        self.assertEqual(decoder.size, 0)

    def test_a_smaller_table_forgets(self) -> None:
        decoder = Decoder()
        decoder.decode(bytes.fromhex("400a637573746f6d2d6b65790d637573746f6d2d686561646572"))
        decoder.decode(hpack.integer_bytes(54, 5, 0x20))
        self.assertEqual((decoder.size, len(decoder.table)), (0, 0))

    def test_what_is_no_hpack_is_told(self) -> None:
        for hexed in ("80", "be", "ff", "ffffffffffff", "410f7777", "41", "8220", "3fe21f", "4100" "80",
                      "4181ff",      # padding of eight bits
                      "418100",      # padding that is not all ones
                      "4184ffffffff"):  # the end of string itself
            with self.subTest(hexed), self.assertRaises(hpack.Malformed):
                Decoder().decode(bytes.fromhex(hexed))


if __name__ == "__main__":
    unittest.main()
