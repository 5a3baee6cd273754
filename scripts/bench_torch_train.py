#!/usr/bin/env python3
"""Trains the tiny models with `ratdata-train` and with PyTorch on the CPU, and prints tokens a second of both.

usage: bench_torch_train.py --program target/release/ratdata-train [--models tiny-rat,tiny-attention] [--threads 2]
                            [--rounds 3] [--iterations 6] [--compile] [--only ratdata|torch] [--processor-time]

Both train the same model (sizes, tied embedding, mixers) on the same random ids, in f32, 16 sequences of 256 tokens an
iteration, in micro-batches of 8, with clipping by the global norm and AdamW. PyTorch gets its fast forms: fused AdamW,
`F.embedding`, `F.rms_norm`, `scaled_dot_product_attention`, `F.cross_entropy`; RAT's recurrence is a loop over the 16 steps
of a chunk, for all chunks at once. The two take turns for so many rounds, each in a process of its own, so that neither has
the machine in a better hour. The figure of a process is the median over its iterations without the first two.

Needs a Python with torch. Nothing else should run on the machine. Where something else does, `--processor-time` counts
tokens for each second of a processor instead, over the same iterations: waiting does not count, but a thread that waits in
a loop does, so take one thread each (`--threads 1`) for a fair count. For ratdata-train it is the difference between a whole
run and a run of the first iterations alone.
"""

import argparse
import json
import os
import pathlib
import random
import resource
import statistics
import struct
import subprocess
import sys
import tempfile
import time

VOCAB, WIDTH, LAYERS, HEAD, SEQ, CHUNK, GROUPS = 32_000, 128, 4, 32, 256, 16, 2
BATCH, MICRO = 16, 8
WARM = 2


def torch_rates(model_name, threads, iterations, compiled, by_processor):
    """Returns the tokens a second of each of PyTorch's iterations after the first ones."""
    import torch
    import torch.nn.functional as F
    from torch import nn

    torch.set_num_threads(threads)
    torch.manual_seed(1)
    heads = WIDTH // HEAD

    def weight(*shape):
        return nn.Parameter(torch.randn(*shape) * 0.02)

    def rotation(positions):
        speeds = 10_000.0 ** (-torch.arange(0, HEAD, 2).double() / HEAD)
        angles = torch.outer(positions.double(), speeds)
        return angles.cos().float(), angles.sin().float()

    def rotated(x, angles):
        cos, sin = angles
        first, second = x.chunk(2, dim=-1)
        return torch.cat([first * cos - second * sin, second * cos + first * sin], dim=-1)

    def split(x):
        return x.view(x.shape[0], SEQ, -1, HEAD).transpose(1, 2)

    class Attention(nn.Module):
        def __init__(self):
            super().__init__()
            self.in_proj = weight(3 * WIDTH, WIDTH)
            self.angles = rotation(torch.arange(SEQ))

        def forward(self, x):
            v, q, k = map(split, F.linear(x, self.in_proj).chunk(3, dim=-1))
            q, k = rotated(q, self.angles), rotated(k, self.angles)
            mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True)
            return mixed.transpose(1, 2).reshape(x.shape)

    class Rat(nn.Module):
        def __init__(self):
            super().__init__()
            self.in_proj = weight(3 * WIDTH + 2 * GROUPS * HEAD, WIDTH)
            self.bias = nn.Parameter(torch.zeros(WIDTH))
            chunk = torch.arange(SEQ) // CHUNK
            self.angles = rotation(chunk)
            # A query sees the ends of earlier chunks, and its own state.
            self.hidden = torch.arange(SEQ // CHUNK)[None, :] >= chunk[:, None]

        def recur(self, gate, x):
            shape = (x.shape[0], SEQ // CHUNK, CHUNK, WIDTH)
            gate, x = gate.view(shape), ((1 - gate) * x).view(shape)
            state, states = x[:, :, 0], []
            for t in range(CHUNK):
                state = x[:, :, t] if t == 0 else torch.addcmul(x[:, :, t], gate[:, :, t], state)
                states.append(state)
            return torch.stack(states, dim=2).view(shape[0], SEQ, WIDTH)

        def forward(self, x):
            group = GROUPS * HEAD
            z, v, g, q, k = F.linear(x, self.in_proj).split([WIDTH, WIDTH, WIDTH, group, group], dim=-1)
            repeat = (1, 1, heads // GROUPS)
            gate = torch.sigmoid(g + self.bias)
            k, v = self.recur(gate, k.repeat(repeat)), self.recur(gate, v)
            q, k, v = split(q.repeat(repeat)), split(k), split(v)
            q, k = rotated(q, self.angles) * HEAD**-0.5, rotated(k, self.angles)
            ends_k, ends_v = (kept[:, :, CHUNK - 1 :: CHUNK] for kept in (k, v))
            between = (q @ ends_k.transpose(-1, -2)).masked_fill(self.hidden, float("-inf"))
            own = (q * k).sum(dim=-1, keepdim=True)
            weights = torch.softmax(torch.cat([between, own], dim=-1), dim=-1)
            mixed = weights[..., :-1] @ ends_v + weights[..., -1:] * v
            return torch.sigmoid(z) * mixed.transpose(1, 2).reshape(x.shape)

    class Block(nn.Module):
        def __init__(self, mixer):
            super().__init__()
            self.mixer = mixer
            self.norm, self.ln = nn.Parameter(torch.ones(WIDTH)), nn.Parameter(torch.ones(WIDTH))
            self.out_proj, self.fc1, self.fc2 = weight(WIDTH, WIDTH), weight(4 * WIDTH, WIDTH), weight(WIDTH, 4 * WIDTH)

        def forward(self, x):
            x = x + F.linear(self.mixer(F.rms_norm(x, (WIDTH,), self.norm, 1e-6)), self.out_proj)
            inner = F.gelu(F.linear(F.rms_norm(x, (WIDTH,), self.ln, 1e-6), self.fc1))
            return x + F.linear(inner, self.fc2)

    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.wte = weight(VOCAB, WIDTH)
            self.layers = nn.ModuleList(Block({"tiny-rat": Rat, "tiny-attention": Attention}[model_name]()) for _ in range(LAYERS))
            self.ln = nn.Parameter(torch.ones(WIDTH))

        def forward(self, tokens, labels):
            x = F.embedding(tokens, self.wte)
            for layer in self.layers:
                x = layer(x)
            logits = F.linear(F.rms_norm(x, (WIDTH,), self.ln, 1e-6), self.wte)
            return F.cross_entropy(logits.view(-1, VOCAB), labels.reshape(-1), reduction="sum")

    model = Model()
    parameters = list(model.parameters())
    optimizer = torch.optim.AdamW(parameters, lr=1e-3, betas=(0.9, 0.95), eps=1e-8, weight_decay=0.1, fused=True)
    loss_of = torch.compile(model) if compiled else model
    ids = torch.randint(VOCAB, (iterations, BATCH, SEQ + 1))
    rates, clock = [], time.process_time if by_processor else time.perf_counter
    for batch in ids:
        begun = clock()
        for rows in batch.split(MICRO):
            (loss_of(rows[:, :-1], rows[:, 1:]) / (BATCH * SEQ)).backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        optimizer.zero_grad()
        rates.append(BATCH * SEQ / (clock() - begun))
    return rates[WARM:]


def torch_process(model_name, args):
    command = [sys.executable, __file__, "--torch", model_name, "--threads", str(args.threads), "--iterations", str(args.iterations)]
    command += [option for option, given in (("--compile", args.compile), ("--processor-time", args.processor_time)) if given]
    # Threads that wait by spinning take time from each other on a small machine.
    environment = os.environ | {"OMP_NUM_THREADS": str(args.threads), "MKL_NUM_THREADS": str(args.threads)}
    output = subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout
    return json.loads(output.splitlines()[-1])


def ratdata_run(model_name, args, work, iterations):
    """Trains, and returns the tokens a second of each iteration and the seconds that the processors worked."""
    sets = [f"training.iterations={iterations}", "training.log_every=1", "training.validations=1",
            "training.validation_sequences=1", "training.checkpoints=1"]
    run = work / f"{model_name}-{random.getrandbits(32)}"
    command = [args.program, model_name, "--data", work / "ids-train.bin", "--out", run, "--device", "cpu", "--quiet"]
    for text in sets:
        command += ["--set", text]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=os.environ | {"RAYON_NUM_THREADS": str(args.threads)})
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    rates = [line["tokens_per_second"] for line in lines if line.get("tokens_per_second")]
    return rates, (after.ru_utime + after.ru_stime) - (before.ru_utime + before.ru_stime)


def ratdata_process(model_name, args, work):
    rates, seconds = ratdata_run(model_name, args, work, args.iterations)
    if args.processor_time:
        _, first = ratdata_run(model_name, args, work, WARM)
        return [(args.iterations - WARM) * BATCH * SEQ / (seconds - first)]
    return rates[WARM:]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--program", type=pathlib.Path)
    parser.add_argument("--models", default="tiny-rat,tiny-attention")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--iterations", type=int, default=6)
    parser.add_argument("--compile", action="store_true", help="PyTorch compiles its model (torch.compile)")
    parser.add_argument("--only", choices=["ratdata", "torch"])
    parser.add_argument("--processor-time", action="store_true", help="count the seconds that processors worked, not those of the clock")
    parser.add_argument("--torch", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.torch:
        print(json.dumps(torch_rates(args.torch, args.threads, args.iterations, args.compile, args.processor_time)))
        return
    if args.program is None and args.only != "torch":
        parser.error("--program is missing: the path of ratdata-train")
    with tempfile.TemporaryDirectory() as folder:
        work = pathlib.Path(folder)
        draw = random.Random(1)
        ids = [draw.randrange(VOCAB) for _ in range(400 * (SEQ + 1))]
        (work / "ids-train.bin").write_bytes(struct.pack(f"<{len(ids)}H", *ids))
        for model_name in args.models.split(","):
            rates = {"ratdata": [], "torch": []}
            for _ in range(args.rounds):
                if args.only != "torch":
                    rates["ratdata"].append(statistics.median(ratdata_process(model_name, args, work)))
                if args.only != "ratdata":
                    rates["torch"].append(statistics.median(torch_process(model_name, args)))
            medians = {name: statistics.median(found) for name, found in rates.items() if found}
            for name, median in medians.items():
                unit = "tokens a processor second" if args.processor_time else "tokens/s"
                print(f"{model_name} {name}: {median:,.0f} {unit} (rounds: {', '.join(f'{rate:,.0f}' for rate in rates[name])})")
            if len(medians) == 2:
                print(f"{model_name}: {medians['ratdata'] / medians['torch']:.2f} times PyTorch's rate", flush=True)


if __name__ == "__main__":
    main()
