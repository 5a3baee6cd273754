#!/usr/bin/env python3
"""Runs `ratdata` against real servers of object stores, through a proxy that fails, and compares with results on disk.

usage: check_object_stores.py --program target/debug/ratdata [--venv DIR] [--time]

S3 is moto's server, from PyPI. `gs://` asks the same server: Google's store has the same XML protocol. `http://` reads
the bucket's objects without a signature. What is checked:

- tables and lines from `s3://`, whole prefixes and patterns, give the bytes that files on disk give
- so do 503s, refused connections and answers that break off, on both sides
- an output in a store has no manifest, no half file and no wrong byte after a kill; the same command continues, on another
  machine, too, and makes nothing twice
- a changed input is noticed; the same inputs are "already done"
- `inspect`, `verify` and `trace` say of the store what they say of the folder
- with `--time`, alone: from a store that is as far as real ones are, a run is no slower than a copy and then a run; it
  needs a machine that does nothing else

The venv has moto[server] and pyarrow; without `--venv` one is made in the program's folder. Where that cannot be done, one
line says so, and the exit status is 0.
"""

import argparse
import concurrent.futures
import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import tempfile
import time

from venv_of_check import Skipped, venv_python

PACKAGES = ["moto[server]==5.2.5", "pyarrow"]
# Far above what a slow machine adds to a run that is no slower.
SLACK = 1.25


def say(text):
    print(f"check_object_stores: {text}", flush=True)


def fail(text):
    sys.exit(f"check_object_stores: {text}")


class Stores:
    """A server of objects, the proxies in front of it, and the program."""

    def __init__(self, program, work):
        import boto3

        self.program, self.work = program, work
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.address = ("127.0.0.1", free.getsockname()[1])
        command = [sys.executable, "-m", "moto.server", "-H", self.address[0], "-p", str(self.address[1])]
        self.server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.url = "http://{}:{}".format(*self.address)
        for _ in range(200):
            with socket.socket() as probe:
                if probe.connect_ex(self.address) == 0:
                    break
            time.sleep(0.1)
        else:
            fail("moto's server did not start")
        self.s3 = boto3.client("s3", endpoint_url=self.url, region_name="us-east-1", aws_access_key_id="test", aws_secret_access_key="test")
        for bucket in ("corpora", "results"):
            self.s3.create_bucket(Bucket=bucket)

    def stop(self):
        self.server.terminate()
        self.server.wait()

    def put(self, folder, bucket, prefix):
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                # `gs://` and `http://` read them without a signature.
                public = {"ACL": "public-read"}
                self.s3.upload_file(str(path), bucket, f"{prefix}/{path.relative_to(folder)}", ExtraArgs=public)

    def objects(self, bucket, prefix):
        """Returns the objects below a prefix by their names there, with what is known of them."""
        pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=f"{prefix}/")
        found = [entry for page in pages for entry in page.get("Contents", [])]
        return {entry["Key"][len(prefix) + 1:]: entry for entry in found}

    def get(self, bucket, key):
        return self.s3.get_object(Bucket=bucket, Key=key)["Body"].read()

    def environment(self, home="home", url=None):
        url = url or self.url
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "GOOGLE_", "AZURE_"))}
        return dict(kept, AWS_ACCESS_KEY_ID="test", AWS_SECRET_ACCESS_KEY="test", AWS_REGION="us-east-1", AWS_ENDPOINT_URL=url,
                    STORAGE_EMULATOR_HOST=url, HF_HOME=str(self.work / home), HF_HUB_OFFLINE="1")

    def run(self, *words, home="home", url=None, status=0, **more):
        """Runs the program, which ends with a status, and returns what it said."""
        command = [self.program, *map(str, words)]
        done = subprocess.run(command, cwd=self.work, env=self.environment(home, url), capture_output=True, text=True, **more)
        if done.returncode != status:
            fail(f"{' '.join(map(str, words))}: status {done.returncode}, expected {status}:\n{done.stdout[-2000:]}\n{done.stderr[-3000:]}")
        return done

    def tokenize(self, inputs, out, *more, **how):
        inputs = [inputs] if isinstance(inputs, (str, pathlib.Path)) else inputs
        words = ["tokenize", "--tokenizer", "demo/tokenizer", "--name", "x", "--val-fraction", "0.1", "--input", *inputs, "--out", out]
        return self.run(*words, *more, **how)


def without_fingerprints(manifest):
    """Returns a manifest without what tells its sources apart: an object is told by its tag, a file by its content."""
    manifest = json.loads(manifest)
    for source in manifest["sources"]:
        source.pop("fingerprint")
    return manifest


def compare(stores, folder, bucket, prefix):
    """Compares an artifact in a store with one on disk, byte by byte."""
    names = [str(path.relative_to(folder)) for path in sorted(folder.rglob("*")) if path.is_file() and path.name != ".ratdata-lock"]
    found = stores.objects(bucket, prefix)
    if sorted(found) != sorted(names):
        fail(f"{bucket}/{prefix}: has {sorted(found)}, expected {sorted(names)}")
    for name in names:
        here, there = (folder / name).read_bytes(), stores.get(bucket, f"{prefix}/{name}")
        same = without_fingerprints(here) == without_fingerprints(there) if name == "manifest.json" else here == there
        if not same:
            fail(f"{bucket}/{prefix}/{name}: other bytes than on disk")
    return len(names)


def compare_folders(one, other):
    names = sorted(str(path.relative_to(one)) for path in one.rglob("*.*") if path.is_file() and path.name != ".ratdata-lock")
    for name in names:
        here, there = (one / name).read_bytes(), (other / name).read_bytes()
        same = without_fingerprints(here) == without_fingerprints(there) if name == "manifest.json" else here == there
        if not same:
            fail(f"{other / name}: other bytes than {one / name}")
    return len(names)


def write_corpus(stores, files=6, rows=3000):
    """Writes tables of several row groups and blocks, and lines, plain and compressed."""
    import gzip

    import pyarrow
    import pyarrow.parquet

    stores.run("sample", "--out", "demo", "--quiet")
    folder = stores.work / "corpus"
    (folder / "lines").mkdir(parents=True)
    texts = [row for path in sorted((stores.work / "demo/corpus").glob("*.parquet")) for row in pyarrow.parquet.read_table(path)["text"].to_pylist()]
    for number in range(files):
        some = [f"{number} {at}: {texts[(at * 7 + number) % len(texts)]}" for at in range(rows)]
        if number % 2 == 0:
            # A second column lies between those of the text, and does not have to be read.
            table = pyarrow.table({"blob": [os.urandom(600) for _ in some], "text": some})
            pyarrow.parquet.write_table(table, folder / f"{number}.parquet", row_group_size=rows // 5, compression="none", use_dictionary=False)
        else:
            lines = "".join(json.dumps({"id": at, "text": text}) + "\n" for at, text in enumerate(some)).encode()
            name, lines = (f"{number}.jsonl", lines) if number % 4 == 1 else (f"{number}.jsonl.gz", gzip.compress(lines))
            (folder / "lines" / name).write_bytes(lines)
    for number in range(20):
        (folder / "lines" / f"note-{number:02}.txt").write_text(f"note {number}\n" * (number + 1))
    return folder


def check_inputs(stores, corpus):
    stores.tokenize(corpus, "on-disk")
    on_disk = stores.work / "on-disk"
    for input, what in [("s3://corpora/web", "a prefix"), ("gs://corpora/web/", "Google's protocol")]:
        out = f"from-{input[:2]}"
        stores.tokenize(input, out)
        files = compare_folders(on_disk, stores.work / out)
        say(f"{what}: {files} files are those of the folder")
    if "already done" not in stores.tokenize("s3://corpora/web", "from-s3").stderr:
        fail("the same inputs are made again")
    stores.tokenize(corpus / "lines/1.jsonl", "lines-disk")
    stores.tokenize(f"{stores.url}/corpora/web/lines/1.jsonl", "lines-http")
    compare_folders(stores.work / "lines-disk", stores.work / "lines-http")
    with open(corpus / "lines/3.jsonl.gz", "rb") as lines:
        stores.tokenize("-", "lines-stdin", stdin=lines)
    stores.tokenize(corpus / "lines/3.jsonl.gz", "lines-gz")
    for name in ("train", "val"):
        one, other = (stores.work / out / "shards" for out in ("lines-stdin", "lines-gz"))
        if (one / f"x-{name}-stdin.bin").read_bytes() != (other / f"x-{name}-3.bin").read_bytes():
            fail("standard input gives other bytes than its file")
    say("a web server's file and standard input: the same bytes")
    for words in (["filter", "--where", "len(text) > 100", "s3://corpora/web/*.parquet"], ["dedup", "s3://corpora/web/lines/*.gz"]):
        local = [word.replace("s3://corpora/web", str(corpus)) for word in words]
        stores.run(*local, "--out", f"{words[0]}-disk")
        stores.run(*words, "--out", f"{words[0]}-s3")
        data = sorted((stores.work / f"{words[0]}-disk/data").rglob("*"))
        if not data or any(path.read_bytes() != (stores.work / f"{words[0]}-s3/data" / path.name).read_bytes() for path in data):
            fail(f"{words[0]}: other rows than of files on disk")
    say("filter and dedup: the same rows")
    path = corpus / "lines/1.jsonl"
    changed = path.read_bytes().replace(b"1 0: ", b"9 0: ", 1)
    stores.s3.put_object(Bucket="corpora", Key="web/lines/1.jsonl", Body=changed)
    told = stores.tokenize("s3://corpora/web", "from-s3", status=1).stderr
    if "another job" not in told or "content" not in told:
        fail(f"a changed object is not told: {told}")
    stores.s3.put_object(Bucket="corpora", Key="web/lines/1.jsonl", Body=path.read_bytes())
    told = stores.tokenize("s3://corpora/nothing", "none", status=1).stderr
    if "s3://corpora/nothing: not there" not in told:
        fail(f"an address with nothing is not told: {told}")
    say("a changed object is another input, and what is not there is told")


def check_outputs(stores, corpus):
    on_disk = stores.work / "on-disk"
    stores.tokenize("s3://corpora/web", "s3://results/direct")
    files = compare(stores, on_disk, "results", "direct")
    if "already done" not in stores.tokenize("s3://corpora/web", "s3://results/direct").stderr:
        fail("a finished output is made again")
    if "already done" not in stores.tokenize("s3://corpora/web", "s3://results/direct", home="another").stderr:
        fail("a finished output is made again from another machine")
    say(f"an output in the store: {files} files are those of the folder, and it is done once")
    stores.tokenize(corpus, "merged-disk", "--merge")
    # moto has no writes of Google's protocol.
    stores.tokenize(corpus, "s3://results/merged", "--merge")
    compare(stores, stores.work / "merged-disk", "results", "merged")
    stores.tokenize(corpus, "s3://results/direct", "--eos", "off", status=1)
    stores.tokenize(corpus / "lines", "s3://results/direct", "--force")
    stores.tokenize(corpus / "lines", "forced-disk")
    compare(stores, stores.work / "forced-disk", "results", "direct")
    left = list((stores.work / "home/ratdata/outgoing").rglob("*.bin"))
    if left:
        fail(f"shards are left in the cache: {left}")
    say("merged shards, another job that is refused, and one that replaces it")


def check_faults(stores):
    from object_stores.faulty_proxy import Faults, FaultyProxy

    proxy = FaultyProxy(stores.address, Faults(unavailable=5, broken_off=7, refused=11))
    stores.tokenize("s3://corpora/web", "s3://results/faulty", home="faulty", url=proxy.url)
    compare(stores, stores.work / "on-disk", "results", "faulty")
    if min(proxy.counts.values()) == 0:
        fail(f"not every fault came: {proxy.counts}")
    say(f"{proxy.counts}: the same bytes")


def check_kills(stores):
    """Kills a run once some of it has arrived, and continues as another machine."""
    from object_stores.faulty_proxy import Faults, FaultyProxy

    proxy = FaultyProxy(stores.address, Faults(latency=0.05))
    on_disk = stores.work / "on-disk"
    for number, wanted in enumerate((1, 3)):
        prefix = f"killed-{number}"
        words = ["tokenize", "--tokenizer", "demo/tokenizer", "--name", "x", "--val-fraction", "0.1", "--input", "s3://corpora/web",
                 "--out", f"s3://results/{prefix}"]
        run = subprocess.Popen([stores.program, *words], cwd=stores.work, env=stores.environment(f"killed-{number}", proxy.url),
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        done = {}
        while run.poll() is None and len(done) < wanted:
            done = {name: entry for name, entry in stores.objects("results", prefix).items() if name.startswith(".job/done/")}
        run.send_signal(signal.SIGKILL)
        run.wait()
        there = stores.objects("results", prefix)
        if "manifest.json" in there:
            say("a run was over before it was killed; what a kill leaves is not checked this time")
            continue
        for name in there:
            if name.startswith("shards/") and stores.get("results", f"{prefix}/{name}") != (on_disk / name).read_bytes():
                fail(f"{prefix}/{name}: a kill left other bytes than a whole file's")
        stores.tokenize("s3://corpora/web", f"s3://results/{prefix}", home=f"elsewhere-{number}")
        compare(stores, on_disk, "results", prefix)
        again = stores.objects("results", prefix)
        stems = [pathlib.PurePath(name).stem for name in done]
        for name in there:
            if any(name.endswith((f"-{stem}.bin", f"-{stem}.idx")) for stem in stems) and again[name]["LastModified"] != there[name]["LastModified"]:
                fail(f"{prefix}/{name}: was done, and is made again")
        say(f"killed after {len(done)} receipts, {len(there)} objects: no manifest, no half file; continued elsewhere, nothing twice")


def check_readers(stores):
    """What the store's artifact is said to be is what the folder's is."""
    stores.tokenize("s3://corpora/web", "s3://results/read")
    for words in (["inspect"], ["verify"], ["trace", "--token", "1000", "--input", "s3://corpora/web", "--tokenizer", "demo/tokenizer"]):
        said = [json.loads(stores.run(words[0], place, *words[1:], "--json").stdout) for place in ("on-disk", "s3://results/read")]
        for one in said:
            for key in ("manifest", "path", "artifact"):
                one.pop(key, None)
        if said[0] != said[1]:
            fail(f"{words[0]}: says of the store {said[1]}, of the folder {said[0]}")
    stores.run("export", "on-disk", "--to", "megatron", "--out", "exported")
    stores.run("export", "s3://results/read", "--to", "megatron", "--out", "s3://results/exported")
    compare(stores, stores.work / "exported", "results", "exported")
    stores.run("export", "s3://results/read", "--to", "megatron", "--out", "s3://results/exported", status=1)
    name = next(name for name in stores.objects("results", "read") if name.endswith(".bin"))
    content = bytearray(stores.get("results", f"read/{name}"))
    content[100] ^= 1
    stores.s3.put_object(Bucket="results", Key=f"read/{name}", Body=bytes(content))
    stores.run("verify", "s3://results/read", status=3)
    say("inspect, verify, trace and export: as of the folder; a flipped bit in the store is found")


def check_time(stores, corpus, proxy):
    """Compares with a copy, by ten connections, and then a run, and then a copy back."""
    import boto3

    begun = time.monotonic()
    stores.tokenize("s3://corpora/web", "s3://results/timed", home="timed", url=proxy.url)
    direct = time.monotonic() - begun
    s3 = boto3.client("s3", endpoint_url=proxy.url, region_name="us-east-1", aws_access_key_id="test", aws_secret_access_key="test")
    copy, out = stores.work / "copy", stores.work / "copied-out"
    (copy / "lines").mkdir(parents=True)
    begun = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(10) as pool:
        names = list(stores.objects("corpora", "web"))
        list(pool.map(lambda name: s3.download_file("corpora", f"web/{name}", str(copy / name)), names))
        stores.tokenize(copy, out)
        paths = [path for path in out.rglob("*.*") if path.is_file()]
        list(pool.map(lambda path: s3.upload_file(str(path), "results", f"copied/{path.relative_to(out)}"), paths))
    copied = time.monotonic() - begun
    say(f"{sum(path.stat().st_size for path in corpus.rglob('*.*')) / 1e6:.0f} MB: {direct:.1f} s from store to store, "
        f"{copied:.1f} s by copies of both ({direct / copied:.2f})")
    if direct > SLACK * copied:
        fail("a run from the store is slower than a copy and a run")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--program", type=lambda text: pathlib.Path(text).absolute(), required=True)
    parser.add_argument("--venv", type=lambda text: pathlib.Path(text).absolute())
    parser.add_argument("--time", action="store_true", help="with more data, and the times alone")
    parser.add_argument("--in-venv", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if not args.in_venv:
        try:
            python = venv_python(args, "object-stores-venv", "moto.server, boto3, pyarrow", PACKAGES)
        except Skipped as skipped:
            say(f"skipped: {skipped}")
            return
        os.execv(python, [python, __file__, "--in-venv", *sys.argv[1:]])
    from object_stores.faulty_proxy import Faults, FaultyProxy

    begun = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        stores = Stores(args.program, pathlib.Path(folder))
        try:
            corpus = write_corpus(stores, files=8, rows=30000) if args.time else write_corpus(stores)
            stores.put(corpus, "corpora", "web")
            if args.time:
                # As far as the next region: a connection has 40 MB/s.
                check_time(stores, corpus, FaultyProxy(stores.address, Faults(latency=0.02, rate=40e6)))
            else:
                check_inputs(stores, corpus)
                check_outputs(stores, corpus)
                check_faults(stores)
                check_kills(stores)
                check_readers(stores)
        finally:
            stores.stop()
    say(f"all is as on disk: {time.monotonic() - begun:.0f} s")


if __name__ == "__main__":
    main()
