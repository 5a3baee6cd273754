"""An HTTP proxy in front of a store: it refuses some requests, breaks off some answers, and is slow.

Faults come by the number of the request, so that a run is the same each time as far as its requests are.
"""

import dataclasses
import http.client
import http.server
import re
import socket
import threading
import time


@dataclasses.dataclass
class Faults:
    """What goes wrong: every how many requests, and how slowly."""

    unavailable: int = 0
    broken_off: int = 0
    refused: int = 0
    # What the first answer is lost of, of each request whose line has it, such as the one that completes an upload.
    lost: str = ""
    # Seconds before each answer, and bytes of a body a second on one connection.
    latency: float = 0.0
    rate: float = 0.0


class FaultyProxy:
    """A proxy on a port of its own."""

    def __init__(self, target, faults=None, without=()):
        self.target = target
        # Headers that are not passed on.
        self.without = ("connection", *without)
        self.faults = faults or Faults()
        self.counts = {"requests": 0, "unavailable": 0, "broken_off": 0, "refused": 0}
        self.lost = set()
        self.lock = threading.Lock()
        proxy = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            # Small answers do not wait for more to be sent.
            disable_nagle_algorithm = True

            def log_message(self, *_):
                pass

            def handle_one_request(self):
                try:
                    super().handle_one_request()
                except (ConnectionError, socket.timeout, BrokenPipeError):
                    self.close_connection = True

            def __getattr__(self, name):
                if name.startswith("do_"):
                    return lambda: proxy.forward(self)
                raise AttributeError(name)

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 128

            def handle_error(self, request, client_address):
                pass

        self.server = Server(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server.server_address[1]}"

    def fault(self):
        """Counts a request, and returns what goes wrong with it."""
        with self.lock:
            self.counts["requests"] += 1
            number = self.counts["requests"]
            for name in ("unavailable", "broken_off", "refused"):
                every = getattr(self.faults, name)
                if every and number % every == every - 1:
                    self.counts[name] += 1
                    return name
        return None

    def forward(self, handler):
        body = handler.rfile.read(int(handler.headers.get("Content-Length") or 0))
        fault = self.fault()
        if self.faults.latency:
            time.sleep(self.faults.latency)
        if fault == "refused":
            handler.close_connection = True
            return
        if fault == "unavailable":
            answer = b"<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>"
            handler.send_response(503)
            handler.send_header("Content-Length", str(len(answer)))
            handler.end_headers()
            if handler.command != "HEAD":
                handler.wfile.write(answer)
            return
        headers = {name: value for name, value in handler.headers.items() if name.lower() not in self.without}
        self.pace(len(body))
        status, answered, content = self.exchange(handler.command, handler.path, headers, body)
        line = f"{handler.command} {handler.path}"
        if self.faults.lost and re.search(self.faults.lost, line) and line not in self.lost:
            self.lost.add(line)
            handler.close_connection = True
            return
        handler.send_response(status)
        length = dict(answered).get("Content-Length") if handler.command == "HEAD" else str(len(content))
        for name, value in answered:
            if name.lower() not in ("connection", "content-length", "transfer-encoding", "server", "date"):
                handler.send_header(name, value)
        if length is not None:
            handler.send_header("Content-Length", length)
        handler.end_headers()
        if handler.command == "HEAD":
            return
        if fault == "broken_off" and len(content) > 1:
            handler.wfile.write(content[: len(content) // 2])
            handler.close_connection = True
            return
        self.pace(len(content))
        handler.wfile.write(content)

    def exchange(self, command, path, headers, body):
        """Passes a request on, and returns the status, headers and content of the answer."""
        connection = http.client.HTTPConnection(*self.target, timeout=60)
        connection.request(command, path, body, headers)
        answer = connection.getresponse()
        content = answer.read()
        connection.close()
        return answer.status, answer.getheaders(), content

    def pace(self, length):
        if self.faults.rate:
            time.sleep(length / self.faults.rate)
