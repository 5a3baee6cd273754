"""Random changes of bytes and of JSON, as hostile files are changed: cut, flipped, moved, made huge."""

import json

ODD_WORDS = (b"-1", b"1e999", b"null", b'""', b"[]", b"{}", b"../", b"\\u0000", "▁".encode())
ODD_NUMBERS = (0, (1 << 64) - 1, 1 << 63, (1 << 32) - 1, 1 << 32, 1 << 31, 1 << 16)
ODD_VALUES = (
    None,
    True,
    -1,
    0,
    1,
    1.5,
    1e300,
    1 << 31,
    (1 << 32) - 1,
    1 << 63,
    1 << 64,
    "",
    "../../x",
    "/x",
    "\0",
    "a" * 70_000,
    [],
    {},
    [[]],
    "▁",
    "</s>",
)


def mutated(content, draw):
    """Returns bytes with one to four changes."""
    content = bytearray(content)
    for _ in range(draw.randint(1, 4)):
        at = draw.randrange(len(content) + 1)
        what = draw.randrange(8)
        if what == 0 and draw.random() < 0.3:
            del content[at:]
        elif what <= 2 and at < len(content):
            content[at] ^= 1 << draw.randrange(8)
        elif what == 3 and at < len(content):
            content[at] = draw.randrange(256)
        elif what == 4:
            width = draw.choice((1, 2, 4, 8))
            number = draw.choice((*ODD_NUMBERS, draw.getrandbits(64)))
            content[at : at + width] = number.to_bytes(8, "little")[:width]
        elif what == 5:
            content[draw.randrange(len(content) + 1) : 0] = content[at : at + 64]
        elif what == 6:
            del content[at : at + draw.randint(1, 16)]
        else:
            content[at:at] = draw.choice(ODD_WORDS)
    return bytes(content)


def mutated_json(content, draw):
    """Returns JSON with one to three values, keys or members changed, so that most of it is still read."""
    value = json.loads(content)
    for _ in range(draw.randint(1, 3)):
        places = list(_places(value))
        holder, key = draw.choice(places)
        what = draw.randrange(6)
        if what == 0:
            del holder[key]
        elif what == 1 and isinstance(holder, dict):
            holder[str(draw.choice(ODD_VALUES))] = holder.pop(key)
        elif what == 2 and isinstance(holder, list):
            holder.append(holder[key])
        elif what == 3:
            other, place = draw.choice(places)
            holder[key] = json.loads(json.dumps(other[place])) if _is_there(other, place) else None
        else:
            holder[key] = draw.choice(ODD_VALUES)
    return json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass")


def _places(value):
    """Yields every place of a value in JSON, few of long lists."""
    if isinstance(value, dict):
        members = list(value.items())
    elif isinstance(value, list):
        members = list(enumerate(value))
    else:
        return
    # A vocabulary of thousands would leave nothing for the settings around it.
    for key, inner in members if len(members) <= 40 else members[:20] + members[-20:]:
        yield value, key
        yield from _places(inner)


def _is_there(holder, key):
    return key in holder if isinstance(holder, dict) else key < len(holder)
