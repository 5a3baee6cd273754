"""The order of samples in plain Python: the slow twin of `schemas/src/draw`."""

MASK = (1 << 64) - 1
STEP = 0x9E3779B97F4A7C15
BLOCK = 1 << 16


def mix(word):
    word = (word + STEP) & MASK
    word = (word ^ word >> 30) * 0xBF58476D1CE4E5B9 & MASK
    word = (word ^ word >> 27) * 0x94D049BB133111EB & MASK
    return word ^ word >> 31


def permuted(index, length, seed, epoch):
    """The number at an index of the permutation of an epoch: eight rounds on halves, until it is in range."""
    half = max(1, ((length - 1).bit_length() + 1) // 2)
    state = (mix(seed) + mix(epoch ^ 0x5BD1E9959D1CA3F7)) & MASK
    keys = []
    for _ in range(8):
        state = (state + STEP) & MASK
        keys.append(mix(state))
    number = index
    while True:
        left, right = number >> half, number & (1 << half) - 1
        for key in keys:
            left, right = right, left ^ mix(right ^ key) & (1 << half) - 1
        number = left << half | right
        if number < length:
            return number


def draw(sample, rows, quotas, seed):
    """The source and row of a sample of a shuffled mixture; `quotas` are the samples of a block of each source."""
    if len(rows) == 1:
        source, number = 0, sample
    else:
        block, within = divmod(sample, BLOCK)
        place = permuted(within, BLOCK, seed ^ 0x6D69787475726521, block)
        source = 0
        while place >= quotas[source]:
            place -= quotas[source]
            source += 1
        number = block * quotas[source] + place
    epoch, within = divmod(number, rows[source])
    return source, permuted(within, rows[source], seed, epoch)
