"""HPACK (RFC 7541): header blocks of HTTP/2 are read in full, and written in the plainest way there is (literals, no Huffman code)."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

Field = tuple[str, str]


class Malformed(ValueError):
    """A header block that is none."""


# Appendix A, from index 1.
_STATIC_TEXT = """
:authority|:method GET|:method POST|:path /|:path /index.html|:scheme http|:scheme https|:status 200|:status 204|:status 206|:status 304
:status 400|:status 404|:status 500|accept-charset|accept-encoding gzip, deflate|accept-language|accept-ranges|accept
access-control-allow-origin|age|allow|authorization|cache-control|content-disposition|content-encoding|content-language|content-length
content-location|content-range|content-type|cookie|date|etag|expect|expires|from|host|if-match|if-modified-since|if-none-match|if-range
if-unmodified-since|last-modified|link|location|max-forwards|proxy-authenticate|proxy-authorization|range|referer|refresh|retry-after
server|set-cookie|strict-transport-security|transfer-encoding|user-agent|vary|via|www-authenticate
"""
STATIC: list[Field] = [(name, value) for name, _, value in
                       (entry.partition(" ") for entry in _STATIC_TEXT.strip().replace("\n", "|").split("|"))]
TABLE_SIZE = 4096  # bytes of the dynamic table unless the settings say otherwise

# Appendix B. The code is canonical: which bytes have a code of how many bits is all there is to know. The end of string is the last of 30.
_BY_LENGTH = {
    5: b"012aceiost",
    6: b" %-./3456789=A_bdfghlmnpru",
    7: b":BCDEFGHIJKLMNOPQRSTUVWYjkqvwxyz",
    8: b"&*,;XZ",
    10: b'!"()?',
    11: b"'+|",
    12: b"#>",
    13: b"\x00$@[]~",
    14: b"^}",
    15: b"<`{",
    19: b"\\\xc3\xd0",
    20: b"\x80\x82\x83\xa2\xb8\xc2\xe0\xe2",
    21: b"\x99\xa1\xa7\xac\xb0\xb1\xb3\xd1\xd8\xd9\xe3\xe5\xe6",
    22: b"\x81\x84\x85\x86\x88\x92\x9a\x9c\xa0\xa3\xa4\xa9\xaa\xad\xb2\xb5\xb9\xba\xbb\xbd\xbe\xc4\xc6\xe4\xe8\xe9",
    23: b"\x01\x87\x89\x8a\x8b\x8c\x8d\x8f\x93\x95\x96\x97\x98\x9b\x9d\x9e\xa5\xa6\xa8\xae\xaf\xb4\xb6\xb7\xbc\xbf\xc5\xe7\xef",
    24: b"\t\x8e\x90\x91\x94\x9f\xab\xce\xd7\xe1\xec\xed",
    25: b"\xc7\xcf\xea\xeb",
    26: b"\xc0\xc1\xc8\xc9\xca\xcd\xd2\xd5\xda\xdb\xee\xf0\xf2\xf3\xff",
    27: b"\xcb\xcc\xd3\xd4\xd6\xdd\xde\xdf\xf1\xf4\xf5\xf6\xf7\xf8\xfa\xfb\xfc\xfd\xfe",
    28: b"\x02\x03\x04\x05\x06\x07\x08\x0b\x0c\x0e\x0f\x10\x11\x12\x13\x14\x15\x17\x18\x19\x1a\x1b\x1c\x1d\x1e\x1f\x7f\xdc\xf9",
    30: b"\n\r\x16",
}


def _codes() -> dict[tuple[int, int], int]:
    """(bits, code) → byte."""
    codes, code, before = {}, 0, 0
    for bits, symbols in _BY_LENGTH.items():
        code <<= bits - before
        before = bits
        for symbol in symbols:
            codes[bits, code] = symbol
            code += 1
    return codes


_CODES = _codes()


class _State:
    """What is known of a code that is not at its end: so many bits of this value. Knows where each byte leads, once it was there."""

    def __init__(self, bits: int, code: int) -> None:
        self.bits, self.code = bits, code
        self.steps: list[tuple[bytes, _State] | None] = [None] * 256

    def may_end(self) -> bool:
        return self.bits <= 7 and self.code == (1 << self.bits) - 1

    def step(self, byte: int) -> tuple[bytes, _State]:
        """What the byte completes, and the state behind it."""
        decoded, bits, code = b"", self.bits, self.code
        for i in range(7, -1, -1):
            bits, code = bits + 1, code << 1 | byte >> i & 1
            symbol = _CODES.get((bits, code))
            if symbol is not None:
                decoded += bytes((symbol,))
                bits = code = 0
            elif bits >= 30:
                raise Malformed("the end of string is coded")
        step = self.steps[byte] = decoded, _STATES.setdefault((bits, code), _State(bits, code))
        return step


_START = _State(0, 0)
_STATES = {(0, 0): _START}


def huffman_decoded(data: bytes) -> bytes:
    pieces = b""
    state = _START
    for byte in data:
        decoded, state = state.steps[byte] or state.step(byte)
        pieces += decoded
    if not state.may_end():
        raise Malformed("the padding is not the beginning of the end of string")
    return pieces


class Decoder:
    """One direction of one connection. Blocks are to be given in their order, each once."""

    def __init__(self, most: int = TABLE_SIZE) -> None:
        self.most = most  # what our settings allow
        self.table: deque[Field] = deque()  # newest first
        self.size = 0
        self._capacity = most

    def decode(self, block: bytes) -> list[Field]:
        try:
            return self._fields(block)
        except IndexError:
            raise Malformed("the block ends too early") from None

    def _fields(self, block: bytes) -> list[Field]:
        fields: list[Field] = []
        at = 0
        while at < len(block):
            first = block[at]
            if first & 0x80:
                index, at = integer(block, at, 7)
                fields.append(self._entry(index))
            elif first & 0x40:
                field, at = self._literal(block, at, 6)
                self._add(field)
                fields.append(field)
            elif first & 0x20:
                if fields:
                    raise Malformed("a new table size behind a field")
                size, at = integer(block, at, 5)
                if size > self.most:
                    raise Malformed("a larger table than was allowed")
                self._capacity = size
                self._evict()
            else:
                field, at = self._literal(block, at, 4)
                fields.append(field)
        return fields

    def _entry(self, index: int) -> Field:
        if index == 0:
            raise Malformed("index 0")
        if index <= len(STATIC):
            return STATIC[index - 1]
        if index - len(STATIC) > len(self.table):
            raise Malformed("an index that the table does not have")
        return self.table[index - len(STATIC) - 1]

    def _literal(self, block: bytes, at: int, bits: int) -> tuple[Field, int]:
        index, at = integer(block, at, bits)
        if index:
            name = self._entry(index)[0]
        else:
            name, at = string(block, at)
        value, at = string(block, at)
        return (name, value), at

    def _add(self, field: Field) -> None:
        self.table.appendleft(field)
        self.size += _size(field)
        self._evict()

    def _evict(self) -> None:
        while self.size > self._capacity:
            self.size -= _size(self.table.pop())


def _size(field: Field) -> int:
    return len(field[0]) + len(field[1]) + 32  # section 4.1; a character is a byte here


def integer(block: bytes, at: int, bits: int) -> tuple[int, int]:
    """Section 5.1: (the value, where it ends)."""
    most = (1 << bits) - 1
    value = block[at] & most
    at += 1
    if value < most:
        return value, at
    shift = 0
    while True:
        byte = block[at]
        at += 1
        value += (byte & 0x7f) << shift
        shift += 7
        if not byte & 0x80:
            return value, at
        if shift > 28:
            raise Malformed("an integer without end")


def string(block: bytes, at: int) -> tuple[str, int]:
    """Section 5.2."""
    coded = block[at] & 0x80
    length, at = integer(block, at, 7)
    data = block[at:at + length]
    if len(data) != length:
        raise Malformed("a string that is cut off")
    return (huffman_decoded(data) if coded else data).decode("latin-1"), at + length


def integer_bytes(value: int, bits: int, first: int = 0) -> bytes:
    most = (1 << bits) - 1
    if value < most:
        return bytes((first | value,))
    coded = [first | most]
    value -= most
    while value >= 0x80:
        coded.append(value & 0x7f | 0x80)
        value >>= 7
    return bytes((*coded, value))


def _plain(text: str) -> bytes:
    data = text.encode("latin-1")
    return integer_bytes(len(data), 7) + data


def encode(fields: Iterable[Field]) -> bytes:
    """A block of literals without indexing, which leaves the reader's table as it is."""
    block = b""
    for name, value in fields:
        block += b"\x00" + _plain(name) + _plain(value)
    return block
