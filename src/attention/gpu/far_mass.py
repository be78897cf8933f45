"""The kernels of far mass for NVIDIA GPUs, in Triton. `compile.py` makes machine code of them ahead of time.

A head's softmax is never materialised: each program takes a block of BLOCK rows of one head, goes over all their keys in tiles of
TILE, and keeps for each row a running maximum and the sums of near weights, far weights and squares of far weights. Logits are
in base 2: `scale` and `softcap` come multiplied by log2(e)."""

import triton
import triton.language as tl


@triton.jit
def _tanh(x):
    """The hyperbolic tangent: by its series around 0, where the difference of two numbers near 1 would have few digits."""
    square = x * x
    series = x * (1.0 + square * (-1 / 3 + square * (2 / 15 + square * (-17 / 315 + square * (62 / 2835)))))
    # Of an infinite exponential it is 1.
    return tl.where(square < 0.09, series, 1.0 - 2.0 / (tl.exp2(x * 2.8853900817779268) + 1.0))


@triton.jit
def _logits(query, exists, q_low, q_high, keys, start, length, scale, softcap, SIZE: tl.constexpr, LOW: tl.constexpr,
            TILE: tl.constexpr, CHUNK: tl.constexpr, CAPPED: tl.constexpr, WHOLE: tl.constexpr):
    """Logits of a block of rows with the tile of keys at `start`, WHOLE where no key of it is behind the last."""
    within = tl.arange(0, TILE)
    key_exists = (start + within < length)[None, :]
    tile = keys + tl.cast(start, tl.int64) * SIZE + within[None, :] * SIZE
    if CHUNK:
        # Queries of 32 bits are too many to be held in registers: they are loaded again for each tile.
        x = tl.zeros([query.shape[0], TILE], tl.float32)
        for chunk in range(0, SIZE, CHUNK):
            offset = chunk + tl.arange(0, CHUNK)
            q = tl.load(query + offset[None, :], mask=exists[:, None], other=0.0)
            k = tl.load(tile + offset[:, None], mask=key_exists, other=0.0)
            x = tl.dot(q, k, x, input_precision="tf32x3")
    else:
        low = tile + tl.arange(0, LOW)[:, None]
        k = tl.load(low) if WHOLE else tl.load(low, mask=key_exists, other=0.0)
        x = tl.dot(q_low, k)
        if LOW < SIZE:
            high = tile + LOW + tl.arange(0, SIZE - LOW)[:, None]
            k = tl.load(high) if WHOLE else tl.load(high, mask=key_exists, other=0.0)
            x = tl.dot(q_high, k, x)
    x = x * scale
    return softcap * _tanh(x / softcap) if CAPPED else x


@triton.jit
def _fold(x, maximum, near, far, squares):
    """The weights of a tile beside the greatest logit so far, and the sums beside the same."""
    new = tl.maximum(maximum, tl.max(x, 1))
    factor = tl.exp2(maximum - new)
    return tl.exp2(x - new[:, None]), new, near * factor, far * factor, squares * (factor * factor)


@triton.jit
def far_mass(queries, keys, sink_tokens, masses, squares_of_masses, heads, key_heads, rows, length, first_row, min_distance, settings,
             scale, softcap, SIZE: tl.constexpr, LOW: tl.constexpr, BLOCK: tl.constexpr, TILE: tl.constexpr,
             CHUNK: tl.constexpr, CAPPED: tl.constexpr):
    """Sums over each block of rows, `[settings, windows, heads, blocks]`, for each number of sinks.

    | | shape |
    | --- | --- |
    | `queries` | `[windows, heads, rows, SIZE]`, the query of row `i` at position `first_row + i` |
    | `keys` | `[windows, key_heads, length, SIZE]` |
    | `sink_tokens` | `[settings]`, 64-bit |
    | grid | blocks of rows, windows times heads |
    """
    blocks = tl.num_programs(0)
    block = blocks - 1 - tl.program_id(0)  # The last rows have the most keys, and are begun first.
    head = tl.program_id(1)
    key_head = head // heads * key_heads + head % heads // (heads // key_heads)
    queries += tl.cast(head, tl.int64) * rows * SIZE + tl.cast(block, tl.int64) * BLOCK * SIZE
    keys += tl.cast(key_head, tl.int64) * length * SIZE

    within = tl.arange(0, BLOCK)
    exists = block * BLOCK + within < rows
    at = queries + within[:, None] * SIZE
    q_low = tl.load(at + tl.arange(0, LOW)[None, :], mask=exists[:, None], other=0.0)
    q_high = q_low
    if LOW < SIZE:
        q_high = tl.load(at + LOW + tl.arange(0, SIZE - LOW)[None, :], mask=exists[:, None], other=0.0)
    low = first_row + block * BLOCK
    high = tl.minimum(low + BLOCK, first_row + rows)
    row = low + within

    most_sinks = tl.cast(0, tl.int64)
    for setting in range(settings):
        most_sinks = tl.maximum(most_sinks, tl.load(sink_tokens + setting))
    # Tiles of keys: sinks, far from all rows, far from some, near to all rows, and those with keys behind some rows.
    far_begin = tl.cdiv(tl.cast(tl.minimum(most_sinks, high), tl.int32), TILE) * TILE
    mixed_begin = tl.maximum(far_begin, tl.maximum(low - min_distance + 1, 0) // TILE * TILE)
    near_begin = tl.maximum(mixed_begin, tl.cdiv(tl.maximum(high - min_distance, 0), TILE) * TILE)
    last_begin = tl.maximum(near_begin, low // TILE * TILE)

    maximum = tl.full([BLOCK], -1e30, tl.float32)
    near = tl.zeros([BLOCK], tl.float32)
    far = tl.zeros([BLOCK], tl.float32)
    squares = tl.zeros([BLOCK], tl.float32)
    for start in range(far_begin, mixed_begin, TILE):
        x = _logits(at, exists, q_low, q_high, keys, start, length, scale, softcap, SIZE, LOW, TILE, CHUNK, CAPPED, True)
        p, maximum, near, far, squares = _fold(x, maximum, near, far, squares)
        far += tl.sum(p, 1)
        squares += tl.sum(p * p, 1)
    for start in range(near_begin, last_begin, TILE):
        x = _logits(at, exists, q_low, q_high, keys, start, length, scale, softcap, SIZE, LOW, TILE, CHUNK, CAPPED, True)
        p, maximum, near, far, squares = _fold(x, maximum, near, far, squares)
        near += tl.sum(p, 1)
    # The other three kinds of tiles one after the other. Sinks count as near here.
    sinks_end = far_begin // TILE
    mixed_end = sinks_end + (near_begin - mixed_begin) // TILE
    last_end = mixed_end + tl.cdiv(tl.maximum(high - last_begin, 0), TILE)
    for tile in range(0, last_end):
        start = tl.where(tile < mixed_end, mixed_begin + (tile - sinks_end) * TILE, last_begin + (tile - mixed_end) * TILE)
        start = tl.where(tile < sinks_end, tile * TILE, start)
        x = _logits(at, exists, q_low, q_high, keys, start, length, scale, softcap, SIZE, LOW, TILE, CHUNK, CAPPED, False)
        col = start + tl.arange(0, TILE)
        x = tl.where(col[None, :] <= row[:, None], x, float("-inf"))
        p, maximum, near, far, squares = _fold(x, maximum, near, far, squares)
        is_far = (row[:, None] - col[None, :] >= min_distance) & (col >= far_begin)[None, :]
        p_far = tl.where(is_far, p, 0.0)
        near += tl.sum(p - p_far, 1)
        far += tl.sum(p_far, 1)
        squares += tl.sum(p_far * p_far, 1)

    total = near + far
    for setting in range(settings):
        sinks = tl.cast(tl.minimum(tl.maximum(tl.load(sink_tokens + setting), 0), far_begin), tl.int32)
        far_of_setting = far
        squares_of_setting = squares
        # Some of the keys counted as sinks are none by this setting.
        for start in range(sinks // TILE * TILE, far_begin, TILE):
            x = _logits(at, exists, q_low, q_high, keys, start, length, scale, softcap, SIZE, LOW, TILE, CHUNK, CAPPED, False)
            col = start + tl.arange(0, TILE)
            is_far = (row[:, None] - col[None, :] >= min_distance) & (col >= sinks)[None, :] & (col[None, :] <= row[:, None])
            p_far = tl.where(is_far, tl.exp2(x - maximum[:, None]), 0.0)
            far_of_setting += tl.sum(p_far, 1)
            squares_of_setting += tl.sum(p_far * p_far, 1)
        place = (tl.cast(setting, tl.int64) * tl.num_programs(1) + head) * blocks + block
        tl.store(masses + place, tl.sum(tl.where(exists, far_of_setting / total, 0.0), 0))
        tl.store(squares_of_masses + place, tl.sum(tl.where(exists, squares_of_setting / (total * total), 0.0), 0))


@triton.jit
def sum_blocks(parts, sums, blocks, CHUNK: tl.constexpr):
    """Sums of each line of `parts [lines, blocks]`, always in the same order. The grid has a program a line."""
    line = tl.program_id(0)
    parts += tl.cast(line, tl.int64) * blocks
    total = tl.zeros([CHUNK], tl.float64)
    for start in range(0, blocks, CHUNK):
        at = start + tl.arange(0, CHUNK)
        total += tl.load(parts + at, mask=at < blocks, other=0.0).to(tl.float64)
    tl.store(sums + line, tl.sum(total, 0))
