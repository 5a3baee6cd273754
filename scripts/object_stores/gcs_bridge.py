"""A proxy in front of fake-gcs-server for two requests of Google's XML protocol that it does not take.

- `PUT` of an object: the emulator takes it only with a signature in its address, and answers without a tag. The bridge adds
  the first and, from the emulator's own answer, the second.
- Uploads in parts: each part is written as an object, and at the end the emulator composes them, as Google's JSON protocol
  has it. The object appears by that one request. That the messages are Google's is checked on moto, too, whose server has
  them as S3's.
"""

import http.client
import itertools
import json
import re
import urllib.parse

from object_stores.faulty_proxy import FaultyProxy

# Where parts are kept until they are composed: no test lists it.
PARTS = ".parts"
# The most objects that Google composes at once.
AT_ONCE = 32


class GcsBridge(FaultyProxy):
    """A proxy on a port of its own."""

    def __init__(self, target):
        super().__init__(target)
        self.uploads = itertools.count(1)

    def exchange(self, command, path, headers, body):
        # The emulator reads paths as names of objects for its own host alone.
        headers = {name: value for name, value in headers.items() if name.lower() != "host"}
        place, _, query = path.partition("?")
        query = urllib.parse.parse_qs(query, keep_blank_values=True)
        bucket, _, key = place.lstrip("/").partition("/")
        upload = query.get("uploadId", [None])[0]
        if command == "POST" and "uploads" in query:
            text = f"<InitiateMultipartUploadResult><Bucket>{bucket}</Bucket><Key>{key}</Key><UploadId>{next(self.uploads)}</UploadId></InitiateMultipartUploadResult>"
            return 200, [("Content-Type", "application/xml")], text.encode()
        if command == "PUT" and upload:
            return self.write(f"/{bucket}/{self.part(upload, query['partNumber'][0])}", headers, body)
        if command == "POST" and upload:
            return self.complete(bucket, key, upload, body)
        if command == "DELETE" and upload:
            return 204, [], b""
        if command == "PUT":
            return self.write(place, headers, body)
        return super().exchange(command, path, headers, body)

    def part(self, upload, number):
        return urllib.parse.quote(f"{PARTS}/{upload}/{int(number):05}", safe="")

    def write(self, place, headers, body):
        status, answered, content = super().exchange("PUT", f"{place}?X-Goog-Algorithm=GOOG4-RSA-SHA256", headers, body)
        if status != 200:
            return status, answered, content
        made = json.loads(content)
        return 200, [("ETag", f'"{made["etag"]}"'), ("x-goog-generation", made["generation"])], b""

    def complete(self, bucket, key, upload, body):
        numbers = re.findall(rb"<PartNumber>(\d+)</PartNumber>", body)
        names = [urllib.parse.unquote(self.part(upload, number)) for number in numbers]
        total = urllib.parse.unquote(key)
        made = None
        while names:
            # What was composed so far comes first, where it is not seen under its own name yet.
            so_far, names = names[:AT_ONCE], names[AT_ONCE:]
            target = total if not names else f"{PARTS}/{upload}/composed-{len(names)}"
            made = self.compose(bucket, so_far, target)
            names = [target, *names] if names else []
        tag = made["etag"]
        text = f'<CompleteMultipartUploadResult><Bucket>{bucket}</Bucket><Key>{key}</Key><ETag>"{tag}"</ETag></CompleteMultipartUploadResult>'
        return 200, [("Content-Type", "application/xml"), ("x-goog-generation", made["generation"])], text.encode()

    def compose(self, bucket, names, target):
        asked = json.dumps({"sourceObjects": [{"name": name} for name in names], "destination": {"contentType": "application/octet-stream"}})
        connection = http.client.HTTPConnection(*self.target, timeout=60)
        path = f"/storage/v1/b/{bucket}/o/{urllib.parse.quote(target, safe='')}/compose"
        connection.request("POST", path, asked, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        content = answer.read()
        connection.close()
        if answer.status != 200:
            raise RuntimeError(f"compose {target}: {answer.status}: {content[:300]}")
        return json.loads(content)
