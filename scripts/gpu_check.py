"""The PyTorch half of scripts/gpu_check.sh: the same layers and the same model, timed.

    gpu_check.py RESULTS            appends times (torch.compile, bf16) as JSON Lines
    gpu_check.py RESULTS --table    prints all results as tables for docs/performance.md, and ends
                                    with status 1 where something disagrees or failed
"""

import json
import math
import sys
import time

WIDTH, HEADS, HEAD, TOKENS, CHUNK, WINDOW, GROUPS = 2048, 16, 128, 131072, 16, 1024, 2
LAYERS, VOCAB, SEQ, PEAK = 24, 32000, 4096, 989e12
LENGTHS = (4096, 8192, 16384, 32768, 65536, 131072)
KINDS = ("attention", "rat", "rnn", "local_attention")
# What may be measured until this many seconds have passed is: the rest is written down as left out.
LAYERS_UNTIL, ALL_UNTIL = 170, 270


def define():
    """Returns the layer and the model; PyTorch is loaded only where something is measured."""
    import torch
    import torch.nn.functional as F
    from torch.nn.attention.flex_attention import create_block_mask, flex_attention

    def heads(x):
        return x.unflatten(-1, (-1, HEAD)).transpose(1, 2)

    def angles(positions):
        speeds = 10000.0 ** (-torch.arange(0, HEAD, 2, device=positions.device) / HEAD)
        turned = positions[:, None].float() * speeds
        return turned.cos(), turned.sin()

    def rope(x, cos_sin):
        cos, sin = (t.to(x.dtype) for t in cos_sin)
        a, b = x.chunk(2, dim=-1)
        return torch.cat((a * cos - b * sin, b * cos + a * sin), dim=-1)

    def run(a, b):
        """h_t = a_t h_{t-1} + b_t along dimension 1: doubling within blocks, then over blocks."""
        rows, seq, width = b.shape
        block = min(seq, 64)
        a, b = (t.reshape(rows, seq // block, block, width) for t in (a, b))
        step = 1
        while step < block:
            b = torch.cat((b[:, :, :step], b[:, :, step:] + a[:, :, step:] * b[:, :, :-step]), 2)
            a = torch.cat((a[:, :, :step], a[:, :, step:] * a[:, :, :-step]), 2)
            step *= 2
        if seq > block:
            ends = run(a[:, :, -1], b[:, :, -1])
            before = F.pad(ends[:, :-1], (0, 0, 1, 0))
            b = b + a * before[:, :, None]
        return b.reshape(rows, seq, width)

    class Scan(torch.autograd.Function):
        """h_t = g_t h_{t-1} + (1 - g_t) x_t, which keeps gates, inputs and states alone."""

        @staticmethod
        def forward(ctx, g, x):
            states = run(g, (1 - g) * x)
            ctx.save_for_backward(g, x, states)
            return states

        @staticmethod
        def backward(ctx, grad):
            g, x, states = ctx.saved_tensors
            later = F.pad(g[:, 1:], (0, 0, 0, 1))
            slope = run(later.flip(1), grad.flip(1)).flip(1)
            last = F.pad(states[:, :-1], (0, 0, 1, 0))
            return slope * (last - x), slope * (1 - g)

    class Mixer(torch.nn.Module):
        def __init__(self, kind, seq):
            super().__init__()
            self.kind = kind
            out = 3 * WIDTH + (2 * GROUPS * HEAD if kind == "rat" else 0)
            self.norm = torch.nn.RMSNorm(WIDTH, eps=1e-6)
            self.in_proj = torch.nn.Linear(WIDTH, out, bias=False)
            self.out_proj = torch.nn.Linear(WIDTH, WIDTH, bias=False)
            self.bias = torch.nn.Parameter(torch.ones(WIDTH))
            where = torch.arange(seq, device="cuda")
            self.turn = angles(where // CHUNK if kind == "rat" else where)
            self.where, self.mask = where, None
            if kind == "local_attention":
                seen = lambda _b, _h, i, j: (i >= j) & (i - j <= WINDOW)
                self.mask = create_block_mask(seen, None, None, seq, seq, device="cuda")

        def forward(self, x):
            p, seq = self.in_proj(self.norm(x)), x.shape[1]
            if self.kind in ("attention", "local_attention"):
                v, q, k = (heads(t) for t in p.split(WIDTH, -1))
                q, k = rope(q, self.turn), rope(k, self.turn)
                if self.kind == "attention":
                    y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
                else:
                    y = flex_attention(q, k, v, block_mask=self.mask)
                return x + self.out_proj(y.transpose(1, 2).flatten(2))
            z, v, g = p[..., : 3 * WIDTH].split(WIDTH, -1)
            g = torch.sigmoid(g.float() + self.bias.float())
            if self.kind == "rnn":
                return x + self.out_proj(torch.sigmoid(z) * Scan.apply(g, v.float()).to(p.dtype))
            q, k = (t.repeat(1, 1, HEADS // GROUPS) for t in p[..., 3 * WIDTH :].chunk(2, -1))
            cut = lambda t: t.reshape(-1, CHUNK, WIDTH)
            v, k = (
                Scan.apply(cut(g), cut(t).float()).to(p.dtype).view(z.shape) for t in (v, k)
            )
            q, k, v = rope(heads(q), self.turn), rope(heads(k), self.turn), heads(v)
            ends_k, ends_v = k[:, :, CHUNK - 1 :: CHUNK], v[:, :, CHUNK - 1 :: CHUNK]
            outs, block = [], min(seq, 4096)
            for start in range(0, seq, block):
                part = slice(start, start + block)
                chunks = (start + block) // CHUNK
                s = q[:, :, part] @ ends_k[:, :, :chunks].transpose(2, 3)
                hidden = self.where[part, None] // CHUNK <= self.where[:chunks]
                s = s.float().masked_fill(hidden, float("-inf"))
                own = (q[:, :, part] * k[:, :, part]).float().sum(-1, keepdim=True)
                w = torch.softmax(torch.cat((s, own), -1) * HEAD**-0.5, -1).to(p.dtype)
                outs.append(w[..., :-1] @ ends_v[:, :, :chunks] + w[..., -1:] * v[:, :, part])
            y = torch.cat(outs, 2).transpose(1, 2).flatten(2)
            return x + self.out_proj(torch.sigmoid(z) * y)

    class Block(torch.nn.Module):
        def __init__(self, kind):
            super().__init__()
            self.mixer = Mixer(kind, SEQ)
            self.norm = torch.nn.RMSNorm(WIDTH, eps=1e-6)
            self.up = torch.nn.Linear(WIDTH, 4 * WIDTH, bias=False)
            self.down = torch.nn.Linear(4 * WIDTH, WIDTH, bias=False)

        def forward(self, x):
            x = self.mixer(x)
            return x + self.down(F.gelu(self.up(self.norm(x))))

    class Model(torch.nn.Module):
        def __init__(self, kind):
            super().__init__()
            self.embed = torch.nn.Embedding(VOCAB, WIDTH)
            torch.nn.init.normal_(self.embed.weight, std=0.02)
            self.blocks = torch.nn.ModuleList(Block(kind) for _ in range(LAYERS))
            self.norm = torch.nn.RMSNorm(WIDTH, eps=1e-6)

        def forward(self, ids, recompute):
            x = self.embed(ids)
            for block in self.blocks:
                if recompute:
                    x = torch.utils.checkpoint.checkpoint(block, x, use_reentrant=False)
                else:
                    x = block(x)
            logits = F.linear(self.norm(x), self.embed.weight)
            return F.cross_entropy(logits.flatten(0, 1).float(), ids.flatten())

    return torch, Mixer, Model


def time_layer(torch, Mixer, kind, seq):
    torch._dynamo.reset()
    layer = Mixer(kind, seq).cuda().bfloat16()
    fast = torch.compile(layer, dynamic=False)
    x = torch.randn(TOKENS // seq, seq, WIDTH, device="cuda", dtype=torch.bfloat16)
    x.requires_grad_()
    times = []
    for _ in range(5):
        x.grad = None
        layer.zero_grad(set_to_none=True)
        torch.cuda.synchronize()
        start = time.perf_counter()
        fast(x).sum().backward()
        torch.cuda.synchronize()
        times.append((time.perf_counter() - start) * 1e3)
    return {"milliseconds": sorted(times[2:])[1]}


def operations(kind):
    """Operations of a token as `ModelConfig::flops_per_token` counts them."""
    out = 3 * WIDTH + (2 * GROUPS * HEAD if kind == "rat" else 0)
    weights = VOCAB * WIDTH + LAYERS * (WIDTH * (out + WIDTH) + 8 * WIDTH * WIDTH)
    keys = {"attention": SEQ // 2, "rat": math.ceil(SEQ // CHUNK / 2) + 1}[kind]
    return 6 * weights + 12 * WIDTH * keys * LAYERS


def time_model(torch, Model, kind, micro_batch, micro_batches, recompute):
    torch._dynamo.reset()
    model = Model(kind).cuda()
    fast = torch.compile(model, dynamic=False)
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=1e-4, betas=(0.9, 0.95), weight_decay=0.1, fused=True
    )
    ids = torch.arange(micro_batch * SEQ, device="cuda").mul(7919).remainder(VOCAB)
    ids, best = ids.view(micro_batch, SEQ), math.inf
    for _ in range(3):
        torch.cuda.synchronize()
        start = time.perf_counter()
        for _ in range(micro_batches):
            with torch.autocast("cuda", dtype=torch.bfloat16):
                loss = fast(ids, recompute) / micro_batches
            loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        torch.cuda.synchronize()
        best = min(best, time.perf_counter() - start)
    tokens = micro_batch * micro_batches * SEQ / best
    return {"tokens_per_second": tokens, "mfu": tokens * operations(kind) / PEAK}


def measure(path):
    begun = time.perf_counter()
    torch, Mixer, Model = define()

    def one(result, until, work):
        if time.perf_counter() - begun > until:
            result["left_out"] = f"{until} s had passed"
        else:
            try:
                result.update(work())
            except Exception as error:  # a size that does not fit is a result, too
                result["error"] = f"{type(error).__name__}: {error}"[:300]
        torch.cuda.empty_cache()
        with open(path, "a", encoding="utf-8") as out:
            out.write(json.dumps(result) + "\n")

    # The model first: it is one number a kind, and the layers can lose their last sizes.
    for kind in ("rat", "attention"):
        for size in ((2, 4, False), (8, 2, True)):
            names = ("micro_batch", "micro_batches", "recompute")
            result = {"check": "torch-model", "mixer": kind, **dict(zip(names, size))}
            one(result, ALL_UNTIL - LAYERS_UNTIL, lambda: time_model(torch, Model, kind, *size))
    for seq in reversed(LENGTHS):
        for kind in KINDS:
            result = {"check": "torch-layer", "mixer": kind, "seq_len": seq}
            one(result, ALL_UNTIL - 15, lambda: time_layer(torch, Mixer, kind, seq))


def table(path):
    """Prints the tables and returns whether all is well."""
    with open(path, encoding="utf-8") as lines:
        results = [json.loads(line) for line in lines]
    held = [line for line in results if "agrees" in line]
    failed = [line for line in results if "error" in line]
    # What PyTorch cannot do, such as a size that does not fit, is no mistake of ours.
    wrong = [line for line in held if not line["agrees"]]
    wrong += [line for line in failed if not line["check"].startswith("torch")]
    agree = sum(line["agrees"] for line in held)
    print(f"{agree} of {len(held)} comparisons agree with the reference or the CPU.\n")
    for precision in ("f32", "bf16"):
        found = [line for line in held if line["precision"] == precision]
        if found:
            worst = max(found, key=lambda line: line["difference"] or math.inf)
            print(f"- {precision}: worst {worst['difference']} ({worst['what']}), "
                  f"at most {worst['tolerance']}")

    def value(check, key, **of):
        for line in results:
            if line["check"] == check and all(line.get(name) == it for name, it in of.items()):
                return line.get(key)
        return None

    def cells(ours, theirs, digits, quotient):
        shown = [f"{it:.{digits}f}" if it else "-" for it in (ours, theirs)]
        return shown + [f"{quotient(ours, theirs):.2f}×" if ours and theirs else "-"]

    print("\n| layer, forward + backward, ms | tokens a row | ours | PyTorch | speed |")
    print("|---|---|---|---|---|")
    for kind in KINDS:
        for seq in LENGTHS:
            times = [value(check, "milliseconds", mixer=kind, seq_len=seq)
                     for check in ("layer", "torch-layer")]
            print("|", " | ".join([kind, f"{seq:,}", *cells(*times, 1, lambda a, b: b / a)]), "|")
    full, rat = (value("layer", "milliseconds", mixer=kind, seq_len=131072)
                 for kind in ("attention", "rat"))
    if full and rat:
        print(f"\nrat(16) is {full / rat:.1f} times as fast as attention at 131,072 tokens.")
    print("\n| 1.3B, tokens/s | micro-batches | recomputed | ours | PyTorch | speed | MFU |")
    print("|---|---|---|---|---|---|---|")
    for kind in ("rat", "attention"):
        for micro, many, again in ((2, 4, False), (8, 2, True)):
            of = {"mixer": kind, "micro_batch": micro, "recompute": again}
            speeds = [value(check, "tokens_per_second", **of) for check in ("model", "torch-model")]
            mfu = value("model", "mfu", **of)
            print("|", " | ".join([
                kind, f"{many} of {micro}", "yes" if again else "no",
                *cells(*speeds, 0, lambda a, b: a / b), f"{mfu:.1%}" if mfu else "-",
            ]), "|")
    for line in failed + [line for line in held if not line["agrees"]]:
        print("\nfailed:" if "error" in line else "\ndisagrees:", json.dumps(line))
    return not wrong and bool(held)


if __name__ == "__main__":
    if "--table" in sys.argv[2:]:
        sys.exit(0 if table(sys.argv[1]) else 1)
    measure(sys.argv[1])
