#!/usr/bin/env python3
"""Loads `ratdata serve` with many clients at once, and checks every answer.

usage: load_test.py --program target/release/ratdata --run RUN [--clients 64] [--seconds 120] [--batch 16]

Each client sends requests of all kinds, one after the other: texts and ids, one prompt and several, whole and streamed,
with log-probabilities, echoes, stops and several answers. One in ten hangs up at once or in the middle of its answer, and
one in ten sends a body that is cut or is nonsense. Each answer is compared with the answer to the same request when it was
sent alone: none may be wrong, lost or mixed up. Printed: how many of each kind, p50 and p99 of the whole answers, and the
memory of both processes at the start, in the middle and at the end. Uses Python's standard library alone.
"""

import argparse
import http.client
import json
import pathlib
import random
import subprocess
import sys
import threading
import time

# How much a process may grow between the first quarter and the end.
MOST_GROWTH = 48 << 20


class Server:
    def __init__(self, args):
        command = [args.program, "serve", args.run, "--port", "0", "--json", "--device", "cpu", "--batch", str(args.batch)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        line = self.process.stdout.readline()
        if not line:
            sys.exit("load_test: the server did not start")
        self.address = json.loads(line)["url"].removeprefix("http://")

    def ask(self, body, path="/v1/completions"):
        """Returns the status and the text of an answer."""
        connection = http.client.HTTPConnection(self.address, timeout=300)
        try:
            connection.request("POST" if body is not None else "GET", path, body)
            reply = connection.getresponse()
            return reply.status, reply.read().decode()
        finally:
            connection.close()

    def hang_up(self, body, after):
        """Sends a request, and leaves after some bytes of its answer."""
        connection = http.client.HTTPConnection(self.address, timeout=300)
        connection.request("POST", "/v1/completions", body)
        if after:
            connection.getresponse().read(after)
        connection.close()

    def metric(self, name):
        lines = self.ask(None, "/metrics")[1].splitlines()
        return next(float(line.split()[-1]) for line in lines if line.startswith(name + " "))

    def memory(self):
        """Returns the bytes that the server and the process with the model have."""
        own = self.process.pid
        children = pathlib.Path(f"/proc/{own}/task/{own}/children").read_text().split()
        tasks = pathlib.Path(f"/proc/{own}/task").iterdir()
        children = children or [child for task in tasks for child in (task / "children").read_text().split()]
        return [resident(pid) for pid in [own, *children[:1]]]


def resident(pid):
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    return 0


def requests():
    """Requests of all kinds; each has one right answer."""
    made = []
    words = "the rain fell on the town and nobody came home because it was a long day".split()
    for number in range(24):
        prompt = [
            " ".join(words[: 1 + number % 12]),
            [" ".join(words[: 1 + at % 9]) for at in range(1 + number % 3)],
            [5 + at * 7 % 900 for at in range(1 + number * 2)],
            [[5 + at, 6, 7] for at in range(1 + number % 4)],
        ][number % 4]
        body = {"prompt": prompt, "max_tokens": [1, 4, 16, 32][number * 5 % 4], "temperature": number % 3 * 0.5, "seed": number}
        if number % 5 == 0:
            body |= {"echo": True, "logprobs": number % 3}
        if number % 7 == 0:
            body |= {"n": 2, "stop": ["\u0001", "e r"]}
        made.append(body)
    return made


def content(text):
    answer = json.loads(text)
    return answer["choices"], answer["usage"]


def streamed(text):
    """Returns the texts of a stream, by index."""
    events = [event.removeprefix("data: ") for event in text.split("\n\n") if event]
    if not events or events.pop() != "[DONE]":
        raise ValueError("the stream is not whole")
    texts = {}
    for event in map(json.loads, events):
        choice = event["choices"][0]
        texts[choice["index"]] = texts.get(choice["index"], "") + choice["text"]
    return texts


class Load:
    def __init__(self, server, args):
        self.server = server
        self.end = time.monotonic() + args.seconds
        self.requests = requests()
        self.expected = [content(self.whole(body)) for body in self.requests]
        self.lock = threading.Lock()
        self.counts = {}
        self.seconds = []
        self.wrong = []

    def whole(self, body):
        status, text = self.server.ask(json.dumps(body))
        if status != 200:
            sys.exit(f"load_test: {status}: {text}")
        return text

    def client(self, number):
        draws = random.Random(number)
        while time.monotonic() < self.end:
            which = draws.randrange(len(self.requests))
            kind = draws.choices(["whole", "stream", "leave", "leave midway", "malformed"], [60, 20, 5, 5, 10])[0]
            try:
                wrong = self.one(draws, kind, which)
            except (OSError, ValueError, KeyError, http.client.HTTPException) as failed:
                wrong = f"{type(failed).__name__}: {failed}"
            with self.lock:
                self.counts[kind] = self.counts.get(kind, 0) + 1
                if wrong:
                    self.wrong.append(f"{kind}: request {which}: {wrong}")

    def one(self, draws, kind, which):
        """Sends one request, and returns what is wrong with its answer."""
        body = self.requests[which]
        text = json.dumps(body)
        if kind == "whole":
            begun = time.monotonic()
            status, answer = self.server.ask(text)
            took = time.monotonic() - begun
            if status != 200 or content(answer) != self.expected[which]:
                return f"{status}: {answer[:300]}"
            with self.lock:
                self.seconds.append(took)
        elif kind == "stream":
            status, answer = self.server.ask(json.dumps(body | {"stream": True}))
            if streamed(answer) != {choice["index"]: choice["text"] for choice in self.expected[which][0]}:
                return f"{status}: {answer[:300]}"
        elif kind == "leave":
            self.server.hang_up(text, 0)
        elif kind == "leave midway":
            self.server.hang_up(json.dumps(body | {"stream": True}), draws.randrange(1, 200))
        else:
            bad = draws.choice([text[: len(text) // 2], "", "[]", '{"prompt": 7}', '{"prompt": [[1], "a"]}', "\x00" * 50])
            status, answer = self.server.ask(bad)
            if status != 400 or "message" not in json.loads(answer)["error"]:
                return f"{status}: {answer[:300]}"
        return None


def percentile(values, share):
    values = sorted(values)
    return values[min(len(values) - 1, int(share * len(values)))] if values else float("nan")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--program", required=True, help="the program `ratdata`")
    parser.add_argument("--run", required=True, help="the folder of a run, with sequences of 128 tokens or more")
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=120)
    parser.add_argument("--batch", type=int, default=16)
    args = parser.parse_args()
    server = Server(args)
    try:
        load = Load(server, args)
        clients = [threading.Thread(target=load.client, args=(number,)) for number in range(args.clients)]
        memory = [server.memory()]
        for client in clients:
            client.start()
        for _ in range(4):
            time.sleep(max(0.0, args.seconds / 4))
            memory.append(server.memory())
        for client in clients:
            client.join()
        begun = time.monotonic()
        while server.metric("ratdata_open_answers") > 0:
            if time.monotonic() - begun > 30:
                sys.exit("load_test: answers of clients that left are still generated")
            time.sleep(0.1)
        tokens = server.metric("ratdata_generated_tokens_total")
    finally:
        server.process.terminate()
        ended = server.process.wait(timeout=60)
    report(load, memory, tokens, args)
    growth = [last - first for first, last in zip(memory[1], memory[-1], strict=True)]
    if load.wrong or ended != 0 or max(growth) > MOST_GROWTH:
        print(f"load_test: FAILED: {len(load.wrong)} wrong, exit status {ended}, growth {growth}")
        print("\n".join(load.wrong[:10]))
        sys.exit(1)


def report(load, memory, tokens, args):
    answers = sum(load.counts.values())
    kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(load.counts.items()))
    print(f"{args.clients} clients, {args.seconds:.0f} s: {answers} requests ({kinds}), {len(load.wrong)} wrong; {tokens:.0f} tokens")
    print(f"whole answers: p50 {percentile(load.seconds, 0.5) * 1e3:.0f} ms, p99 {percentile(load.seconds, 0.99) * 1e3:.0f} ms")
    for name, numbers in zip(["ratdata", "ratdata-train"], zip(*memory, strict=True), strict=True):
        print(f"{name}: MiB at the start and after each quarter: " + ", ".join(f"{number / (1 << 20):.0f}" for number in numbers))


if __name__ == "__main__":
    main()
