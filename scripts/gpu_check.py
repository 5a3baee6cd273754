"""Times the sequence layers of gpu_check.rs in PyTorch: torch.compile, bf16, the same sizes."""

import json
import sys
import time

import torch
import torch.nn.functional as F

WIDTH, HEADS, HEAD, TOKENS, CHUNK, WINDOW, GROUPS = 2048, 16, 128, 131072, 16, 1024, 2


def heads(x):
    return x.unflatten(-1, (-1, HEAD)).transpose(1, 2)


def rope(x, positions):
    speeds = 10000.0 ** (-torch.arange(0, HEAD, 2, device=x.device) / HEAD)
    angles = positions[:, None].float() * speeds
    cos, sin = angles.cos().to(x.dtype), angles.sin().to(x.dtype)
    a, b = x.chunk(2, dim=-1)
    return torch.cat((a * cos - b * sin, b * cos + a * sin), dim=-1)


def scan(g, x):
    """h_t = g_t h_{t-1} + (1 - g_t) x_t along dimension 1, by doubling."""
    a, b, step = g, (1 - g) * x, 1
    while step < x.shape[1]:
        b = torch.cat((b[:, :step], b[:, step:] + a[:, step:] * b[:, :-step]), 1)
        a = torch.cat((a[:, :step], a[:, step:] * a[:, :-step]), 1)
        step *= 2
    return b


class Layer(torch.nn.Module):
    def __init__(self, kind):
        super().__init__()
        self.kind = kind
        out = 3 * WIDTH + (2 * GROUPS * HEAD if kind == "rat" else 0)
        self.norm = torch.nn.RMSNorm(WIDTH, eps=1e-6)
        self.in_proj = torch.nn.Linear(WIDTH, out, bias=False)
        self.out_proj = torch.nn.Linear(WIDTH, WIDTH, bias=False)
        self.bias = torch.nn.Parameter(torch.ones(WIDTH))

    def forward(self, x):
        p, seq = self.in_proj(self.norm(x)), x.shape[1]
        where = torch.arange(seq, device=x.device)
        if self.kind in ("attention", "local_attention"):
            v, q, k = (heads(t) for t in p.split(WIDTH, -1))
            q, k = rope(q, where), rope(k, where)
            if self.kind == "attention":
                y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
            else:
                from torch.nn.attention.flex_attention import create_block_mask, flex_attention

                def seen(_b, _h, i, j):
                    return (i >= j) & (i - j <= WINDOW)

                mask = create_block_mask(seen, None, None, seq, seq, device=x.device)
                y = flex_attention(q, k, v, block_mask=mask)
            return x + self.out_proj(y.transpose(1, 2).flatten(2))
        z, v, g = p[..., : 3 * WIDTH].split(WIDTH, -1)
        g = torch.sigmoid(g.float() + self.bias)
        if self.kind == "rnn":
            return x + self.out_proj(torch.sigmoid(z) * scan(g, v.float()).to(x.dtype))
        q, k = (t.repeat(1, 1, HEADS // GROUPS) for t in p[..., 3 * WIDTH :].chunk(2, -1))
        cut = lambda t: t.reshape(-1, CHUNK, WIDTH)
        v, k = (scan(cut(g), cut(t).float()).to(x.dtype).view_as(x) for t in (v, k))
        q, k, v = rope(heads(q), where // CHUNK), rope(heads(k), where // CHUNK), heads(v)
        ends_k, ends_v = k[:, :, CHUNK - 1 :: CHUNK], v[:, :, CHUNK - 1 :: CHUNK]
        outs, block = [], max(CHUNK, min(seq, 4096))
        for start in range(0, seq, block):
            part = slice(start, start + block)
            chunks = (start + block) // CHUNK
            s = q[:, :, part] @ ends_k[:, :, :chunks].transpose(2, 3)
            hidden = where[part, None] // CHUNK <= torch.arange(chunks, device=x.device)
            s = s.float().masked_fill(hidden, float("-inf"))
            own = (q[:, :, part] * k[:, :, part]).float().sum(-1, keepdim=True)
            w = torch.softmax(torch.cat((s, own), -1) * HEAD**-0.5, -1).to(x.dtype)
            outs.append(w[..., :-1] @ ends_v[:, :, :chunks] + w[..., -1:] * v[:, :, part])
        y = torch.cat(outs, 2).transpose(1, 2).flatten(2)
        return x + self.out_proj(torch.sigmoid(z) * y)


def main(path):
    with open(path, "a", encoding="utf-8") as out:
        for kind in ("attention", "rat", "rnn", "local_attention"):
            for seq in (4096, 16384, 131072):
                result = {"check": "torch-layer", "mixer": kind, "seq_len": seq}
                try:
                    layer = Layer(kind).cuda().bfloat16()
                    fast = torch.compile(layer)
                    x = torch.randn(TOKENS // seq, seq, WIDTH, device="cuda", dtype=torch.bfloat16)
                    x.requires_grad_()
                    times = []
                    for _ in range(5):
                        torch.cuda.synchronize()
                        start = time.perf_counter()
                        fast(x).sum().backward()
                        torch.cuda.synchronize()
                        times.append((time.perf_counter() - start) * 1e3)
                    result["milliseconds"] = round(sorted(times[2:])[1], 2)
                except Exception as error:  # a size that does not fit is a result too
                    result["error"] = f"{type(error).__name__}: {error}"[:200]
                torch.cuda.empty_cache()
                out.write(json.dumps(result) + "\n")
                out.flush()


if __name__ == "__main__":
    main(sys.argv[1])
