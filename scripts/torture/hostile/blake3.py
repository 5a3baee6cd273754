"""BLAKE3 in plain Python: slow, for files of kilobytes whose recorded checksum is to be right."""

IV = (0x6A09E667, 0xBB67AE85, 0x3C6EF372, 0xA54FF53A, 0x510E527F, 0x9B05688C, 0x1F83D9AB, 0x5BE0CD19)
ORDER = (2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8)
CHUNK, BLOCK = 1024, 64
CHUNK_START, CHUNK_END, PARENT, ROOT = 1, 2, 4, 8
MASK = 0xFFFFFFFF
MIXED = (
    (0, 4, 8, 12),
    (1, 5, 9, 13),
    (2, 6, 10, 14),
    (3, 7, 11, 15),
    (0, 5, 10, 15),
    (1, 6, 11, 12),
    (2, 7, 8, 13),
    (3, 4, 9, 14),
)


def blake3(content):
    """Returns the checksum of bytes, in hexadecimal digits."""
    chunks = [content[at : at + CHUNK] for at in range(0, len(content), CHUNK)] or [b""]
    chain, words, length, flags = _root_of(chunks, 0)
    state = _compress(chain, words, 0, length, flags | ROOT)
    return b"".join(word.to_bytes(4, "little") for word in state).hex()


def _root_of(chunks, first):
    """Returns what the last compression of a subtree takes: chain, block, length and flags."""
    if len(chunks) == 1:
        return _chunk(chunks[0], first)
    # The left subtree is the largest complete one that leaves something for the right.
    left = 1 << (len(chunks) - 1).bit_length() - 1
    values = []
    for part, number in ((chunks[:left], first), (chunks[left:], first + left)):
        chain, words, length, flags = _root_of(part, number)
        values += _compress(chain, words, number if len(part) == 1 else 0, length, flags)
    return IV, values, BLOCK, PARENT


def _chunk(chunk, number):
    blocks = [chunk[at : at + BLOCK] for at in range(0, len(chunk), BLOCK)] or [b""]
    chain = IV
    for place, block in enumerate(blocks):
        flags = CHUNK_START if place == 0 else 0
        padded = block.ljust(BLOCK, b"\0")
        words = [int.from_bytes(padded[at : at + 4], "little") for at in range(0, BLOCK, 4)]
        if place == len(blocks) - 1:
            return chain, words, len(block), flags | CHUNK_END
        chain = _compress(chain, words, number, len(block), flags)


def _compress(chain, words, counter, length, flags):
    state = [*chain, *IV[:4], counter & MASK, counter >> 32, length, flags]
    for _ in range(7):
        for number, (a, b, c, d) in enumerate(MIXED):
            for word, (first, second) in ((words[2 * number], (16, 12)), (words[2 * number + 1], (8, 7))):
                state[a] = state[a] + state[b] + word & MASK
                state[d] = _rotated(state[d] ^ state[a], first)
                state[c] = state[c] + state[d] & MASK
                state[b] = _rotated(state[b] ^ state[c], second)
        words = [words[place] for place in ORDER]
    return [low ^ high for low, high in zip(state[:8], state[8:])]


def _rotated(word, by):
    return (word >> by | word << 32 - by) & MASK
