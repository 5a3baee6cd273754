#!/usr/bin/env python3
"""Times decoding in PyTorch on the CPU, and compares `ratdata bench model` with it.

usage: bench_torch_decode.py [--program target/release/ratdata] [--contexts 1152,4096] [--batch 16] [--new 128] [--threads 2] [--rounds 3] [--greedy]

For each model both programs do the work of `ratdata bench model`: caches with room for all tokens, the last `--new` tokens
of each of `--batch` sequences, one step of the model for all of them at a time, weights and caches in f32. The models are
those of `configs/experiment/tiny-*.toml` and have the same widths in both programs. In PyTorch keys and values are written
into place, attention is `scaled_dot_product_attention`, and there are no gradients. All of a model is decoded once to warm up
and then timed; programs take turns, and medians are printed. With `--greedy` each step chooses the most likely tokens and the
next one reads them, as in greedy generation; without it each step computes the logits. `--compile` runs the model through `torch.compile`.
Without `--program` PyTorch's figures are printed alone. Needs `pip install torch`.
"""

import argparse
import json
import os
import statistics
import subprocess
import time

import torch
from torch.nn import functional

WIDTH, LAYERS, HEAD_DIM, CHUNK, GROUPS, WINDOW, VOCABULARY = 128, 4, 32, 16, 2, 64, 32_000
HEADS = WIDTH // HEAD_DIM


def split(x):
    """[batch, width] as [batch, heads, 1, head_dim]."""
    return x.view(x.shape[0], -1, 1, HEAD_DIM)


def rotate(x, angles):
    """Turns the halves of each head by the position's angles."""
    cos, sin = angles
    first, second = x.chunk(2, dim=-1)
    return torch.cat([first * cos - second * sin, second * cos + first * sin], dim=-1)


class Angles:
    """The angles of all positions."""

    def __init__(self, positions):
        rates = 10_000.0 ** (-torch.arange(0, HEAD_DIM, 2) / HEAD_DIM)
        turns = torch.arange(positions)[:, None] * rates
        self.cos, self.sin = turns.cos(), turns.sin()

    def at(self, position):
        return self.cos[position], self.sin[position]


class Attention(torch.nn.Module):
    """Softmax attention; with a window, over a ring of entries."""

    width = 3 * WIDTH

    def __init__(self, batch, context, window=None):
        super().__init__()
        self.entries = min(context, window + 1) if window else context
        self.k = torch.zeros(batch, HEADS, self.entries, HEAD_DIM)
        self.v = torch.zeros(batch, HEADS, self.entries, HEAD_DIM)
        self.angles = Angles(context)

    def forward(self, projected, position):
        v, q, k = (split(part) for part in projected.chunk(3, dim=-1))
        angles = self.angles.at(position)
        at, seen = position % self.entries, min(position + 1, self.entries)
        self.k[:, :, at : at + 1] = rotate(k, angles)
        self.v[:, :, at : at + 1] = v
        mixed = functional.scaled_dot_product_attention(rotate(q, angles), self.k[:, :, :seen], self.v[:, :, :seen])
        return mixed.reshape(-1, WIDTH)


class Rnn(torch.nn.Module):
    """A gated recurrence."""

    width = 3 * WIDTH

    def __init__(self, batch, context):
        super().__init__()
        self.bias = torch.nn.Parameter(torch.rand(WIDTH))
        self.state = torch.zeros(batch, WIDTH)

    def forward(self, projected, position):
        z, v, g = projected.chunk(3, dim=-1)
        self.state = torch.lerp(v, self.state, torch.sigmoid(g + self.bias))
        return torch.sigmoid(z) * self.state


class Rat(torch.nn.Module):
    """A gated recurrence within chunks, attention between them."""

    width = 3 * WIDTH + 2 * GROUPS * HEAD_DIM

    def __init__(self, batch, context):
        super().__init__()
        self.bias = torch.nn.Parameter(torch.rand(WIDTH))
        chunks = -(-context // CHUNK)
        self.k = torch.zeros(batch, HEADS, chunks, HEAD_DIM)
        self.v = torch.zeros(batch, HEADS, chunks, HEAD_DIM)
        self.state_k = torch.zeros(batch, WIDTH)
        self.state_v = torch.zeros(batch, WIDTH)
        self.angles = Angles(chunks)

    def forward(self, projected, position):
        groups = GROUPS * HEAD_DIM
        z, v, g, q, k = projected.split([WIDTH, WIDTH, WIDTH, groups, groups], dim=-1)
        q, k = (part.repeat(1, HEADS // GROUPS) for part in (q, k))
        chunk, within = divmod(position, CHUNK)
        if within == 0:
            self.state_k, self.state_v = torch.zeros_like(self.state_k), torch.zeros_like(self.state_v)
        gate = torch.sigmoid(g + self.bias)
        self.state_k, self.state_v = torch.lerp(k, self.state_k, gate), torch.lerp(v, self.state_v, gate)
        angles = self.angles.at(chunk)
        self.k[:, :, chunk : chunk + 1] = rotate(split(self.state_k), angles)
        self.v[:, :, chunk : chunk + 1] = split(self.state_v)
        query = rotate(split(q), angles)
        mixed = functional.scaled_dot_product_attention(query, self.k[:, :, : chunk + 1], self.v[:, :, : chunk + 1])
        return torch.sigmoid(z) * mixed.reshape(-1, WIDTH)


MIXERS = {
    "attention": Attention,
    "rat": Rat,
    "rnn": Rnn,
    "local_attention": lambda batch, context: Attention(batch, context, WINDOW),
}


class Block(torch.nn.Module):
    def __init__(self, mixer):
        super().__init__()
        self.mixer = mixer
        self.norms = torch.nn.ModuleList(torch.nn.RMSNorm(WIDTH, eps=1e-6) for _ in range(2))
        self.in_proj = torch.nn.Linear(WIDTH, mixer.width, bias=False)
        self.out_proj = torch.nn.Linear(WIDTH, WIDTH, bias=False)
        self.up = torch.nn.Linear(WIDTH, 4 * WIDTH, bias=False)
        self.down = torch.nn.Linear(4 * WIDTH, WIDTH, bias=False)

    def forward(self, x, position):
        x = x + self.out_proj(self.mixer(self.in_proj(self.norms[0](x)), position))
        return x + self.down(functional.gelu(self.up(self.norms[1](x))))


class Model(torch.nn.Module):
    def __init__(self, name, batch, context, vocabulary):
        super().__init__()
        mixers = [MIXERS[part.split(":")[0]] for part in name.split("+")]
        self.blocks = torch.nn.ModuleList(Block(mixers[layer % len(mixers)](batch, context)) for layer in range(LAYERS))
        self.embedding = torch.nn.Embedding(vocabulary, WIDTH)
        self.norm = torch.nn.RMSNorm(WIDTH, eps=1e-6)

    def forward(self, tokens, position):
        x = self.embedding(tokens)
        for block in self.blocks:
            x = block(x, position)
        return functional.linear(self.norm(x), self.embedding.weight)


def torch_rate(name, args, context):
    """Returns the tokens a second of PyTorch."""
    model = Model(name, args.batch, context, args.vocabulary).eval()
    if args.compile:
        model = torch.compile(model, dynamic=True)
    tokens = torch.ones(args.batch, dtype=torch.long)
    with torch.inference_mode():
        for _ in range(2):
            begun = time.perf_counter()
            for position in range(context - args.new, context):
                logits = model(tokens, position)
                if args.greedy:
                    tokens = logits.argmax(dim=-1)
            seconds = time.perf_counter() - begun
    return args.batch * args.new / seconds


def own_rate(name, args, context):
    """Returns the tokens a second of `ratdata bench model`."""
    options = {
        "--layers": name, "--width": WIDTH, "--heads": HEADS, "--blocks": LAYERS, "--window": WINDOW, "--vocabulary": args.vocabulary,
        "--context": context, "--new": args.new, "--most": args.batch, "--device": "cpu",
    }
    command = [args.program, "bench", "model", "--json", "--quiet", *(["--greedy"] if args.greedy else []), *(str(word) for pair in options.items() for word in pair)]
    environment = dict(os.environ, RAYON_NUM_THREADS=str(args.threads))
    done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    [row] = json.loads(done.stdout)["rows"]
    if row["batch"] != args.batch:
        raise SystemExit(f"bench_torch_decode: {name}: the memory holds {row['batch']} sequences, expected {args.batch}")
    return row["tokens_per_second"]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--program", help="the program `ratdata`")
    parser.add_argument("--layers", default="attention,rat:16,rnn,attention+local_attention,rat:16+local_attention", help="the models, with commas")
    parser.add_argument("--contexts", default="1152,4096", help="tokens in a sequence at the end, with commas")
    parser.add_argument("--batch", type=int, default=16, help="sequences that are decoded together")
    parser.add_argument("--new", type=int, default=128, help="tokens that are timed")
    parser.add_argument("--vocabulary", type=int, default=VOCABULARY, help="rows of the embedding")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--greedy", action="store_true", help="choose the most likely tokens in each step")
    parser.add_argument("--compile", action="store_true", help="run the model through torch.compile")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    print(f"PyTorch {torch.__version__}{', compiled' if args.compile else ''}; {args.batch} sequences, {args.new} tokens each, tokens a second")
    print("| tokens at the end | model | ratdata | PyTorch | ratdata is |\n|---|---|---|---|---|")
    for context in map(int, args.contexts.split(",")):
        for name in args.layers.split(","):
            rates = [(own_rate(name, args, context) if args.program else None, torch_rate(name, args, context)) for _ in range(args.rounds)]
            theirs = statistics.median(rate for _, rate in rates)
            ours = statistics.median(rate for rate, _ in rates) if args.program else None
            cells = [f"{ours:,.0f}", f"{theirs:,.0f}", f"{ours / theirs:.2f}×"] if ours else ["", f"{theirs:,.0f}", ""]
            print(f"| {context:,} | {name} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
