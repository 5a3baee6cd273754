"""SentencePiece models, written by hand: one protobuf message, `ModelProto`."""

import struct

NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE = 1, 2, 3, 4, 5, 6
MERGES = (
    "th",
    "the",
    "▁the",
    "at",
    "cat",
    "▁cat",
    "▁s",
    "▁sat",
    "on",
    "▁on",
    "▁▁",
    "es",
    "ti",
    "ri",
    "ver",
    "er",
    "aa",
    "aaaa",
)
LETTERS = "▁abcdefghiklmnoprstuvwy,.!12🙂é"
UNIGRAM, BPE = 1, 2


def pieces():
    """Returns the pieces of a small BPE vocabulary with byte fallback: text, score, kind."""
    made = [("<unk>", 0.0, UNKNOWN), ("<s>", 0.0, CONTROL), ("</s>", 0.0, CONTROL)]
    made += [(f"<0x{byte:02X}>", 0.0, BYTE) for byte in range(256)]
    made += [(merge, -float(number), NORMAL) for number, merge in enumerate(MERGES)]
    return made + [(letter, -float(number), NORMAL) for number, letter in enumerate(LETTERS, len(MERGES))]


def model(pieces, kind=BPE, fallback=1, charsmap=None):
    """Returns the bytes of a model file."""
    message = b"".join(_bytes(1, piece(*each)) for each in pieces)
    message += _bytes(2, _number(3, kind) + _number(35, fallback))
    normalizer = _number(3, 1) + _number(4, 0) + _number(5, 1)
    return message + _bytes(3, normalizer + (_bytes(2, charsmap) if charsmap is not None else b""))


def piece(text, score, kind):
    """Returns the message of one piece."""
    text = text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass")
    return _bytes(1, text) + _varint(2 << 3 | 5) + struct.pack("<f", score) + _number(3, kind)


def _bytes(field, content):
    return _varint(field << 3 | 2) + _varint(len(content)) + content


def _number(field, value):
    return _varint(field << 3) + _varint(value)


def _varint(value):
    written = bytearray()
    while value > 0x7F:
        written.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*written, value])


def _with(*more):
    return lambda: model([*pieces(), *more])


def _but(number, text, score, kind):
    def make():
        made = pieces()
        made[number] = (text, score, kind)
        return model(made)

    return make


HARM = {
    "empty": lambda: b"",
    "no-piece": lambda: model([]),
    "one-piece": lambda: model([("a", 0.0, NORMAL)]),
    "no-unknown": lambda: model(pieces()[1:]),
    "two-unknown": _but(1, "<s>", 0.0, UNKNOWN),
    "no-bytes": lambda: model([*pieces()[:3], *pieces()[259:]]),
    "byte-twice": _but(4, "<0x00>", 0.0, BYTE),
    "byte-no-number": _but(4, "<0xZZ>", 0.0, BYTE),
    "byte-far": _but(4, "<0x100>", 0.0, BYTE),
    "piece-twice": _with(("the", -3.0, NORMAL)),
    "piece-empty": _with(("", -3.0, NORMAL)),
    "piece-nul": _with(("\0", -3.0, NORMAL)),
    "piece-no-utf8": _with((b"\xff\xfe", -3.0, NORMAL)),
    "piece-surrogate": _with((b"\xed\xa0\x80", -3.0, NORMAL)),
    "piece-long": _with(("a" * 200_000, -3.0, NORMAL)),
    "piece-5-mb": _with(("ab" * 2_500_000, -3.0, NORMAL)),
    "pieces-growing": lambda: model(
        [*pieces(), *(("a" * length, -500.0 - length, NORMAL) for length in range(5, 1500))]
    ),
    "pieces-200k": lambda: model([*pieces(), *((f"p{number}", -500.0 - number, NORMAL) for number in range(200_000))]),
    "score-nan": _but(260, "th", float("nan"), NORMAL),
    "score-infinite": _but(260, "th", float("inf"), NORMAL),
    "score-minus-infinite": _but(260, "th", float("-inf"), NORMAL),
    "scores-equal": lambda: model([(text, 0.0, kind) for text, _, kind in pieces()]),
    "scores-reversed": lambda: model([(text, -score, kind) for text, score, kind in pieces()]),
    "kind-0": _but(260, "th", -1.0, 0),
    "kind-huge": _but(260, "th", -1.0, (1 << 64) - 1),
    "user-defined": _with(("cat", -3.0, USER_DEFINED)),
    "user-defined-empty": _with(("", -3.0, USER_DEFINED)),
    "user-defined-letter": _with(("a", -3.0, USER_DEFINED)),
    "control-text": _with(("cat", -3.0, CONTROL)),
    "unused": _but(261, "the", -1.0, UNUSED),
    "unigram": lambda: model(pieces(), kind=UNIGRAM),
    "type-huge": lambda: model(pieces(), kind=(1 << 64) - 1),
    "no-fallback": lambda: model(pieces(), fallback=0),
    "charsmap": lambda: model(pieces(), charsmap=b"\xff\xff\xff\xff" + b"a" * 64),
    "charsmap-short": lambda: model(pieces(), charsmap=b"\x01"),
    "length-huge": lambda: model(pieces()) + _varint(1 << 3 | 2) + _varint((1 << 64) - 1),
    "length-over": lambda: model(pieces()) + _varint(1 << 3 | 2) + _varint(1 << 40),
    "varint-long": lambda: model(pieces()) + b"\xff" * 40,
    "field-zero": lambda: model(pieces()) + b"\x00\x01",
    "field-huge": lambda: model(pieces()) + _varint((1 << 64) - 1),
    "group": lambda: model(pieces()) + b"\x0b" * 100_000,
    "cut": lambda: model(pieces())[:-7],
    "fields-many": lambda: model(pieces()) + b"\x98\x06\x01" * 2_000_000,
    "piece-fields-many": lambda: model(pieces()) + _bytes(1, b"\x0a\x01a" * 1_000_000),
}
"""Models that do harm, by name."""
