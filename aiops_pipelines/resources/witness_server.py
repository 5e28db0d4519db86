"""A witness over HTTP: `add-checkpoint` and the checkpoints of C2SP tlog-witness, with the standard library.

There is no authentication but the signature on a checkpoint, as the protocol has it. Encryption and limits of
rate are the business of what stands before it.
"""

from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from aiops_pipelines.compliance.witness import BAD_REQUEST, MAX_BYTES, NOT_FOUND, OK, Answer
from aiops_pipelines.mendable import Mendable
from aiops_pipelines.resources.witness import Witness

SECONDS = 10
"""How long a client may be silent."""
BROKEN = Answer(500, "The witness cannot keep its state.")


def server(witness: Witness, host: str, port: int) -> ThreadingHTTPServer:
    """Return a server that is bound and not yet serving."""

    class Handler(BaseHTTPRequestHandler):
        timeout = SECONDS
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            """Cosign a checkpoint."""
            length = self.headers.get("Content-Length") or ""
            if not length.isascii() or not length.isdigit() or int(length) > MAX_BYTES:
                self.close_connection = True  # what follows is not read
                self._send(Answer(BAD_REQUEST, f"A request has a length of at most {MAX_BYTES} bytes."))
                return
            body = self.rfile.read(int(length))
            if self.path.rstrip("/").rpartition("/")[2] != "add-checkpoint":
                self._send(Answer(NOT_FOUND, "There is add-checkpoint."))
                return
            try:
                self._send(witness.add_checkpoint(body.decode()))
            except UnicodeDecodeError:
                self._send(Answer(BAD_REQUEST, "A request is UTF-8."))
            except (OSError, Mendable, ValueError):
                self.close_connection = True
                self._send(BROKEN)

        def do_GET(self) -> None:
            """Show the last checkpoint of a log."""
            *_, origin_hash, last = f"/{self.path}".split("/")
            try:
                note = witness.checkpoint(origin_hash) if last == "checkpoint" else None
            except (OSError, Mendable, ValueError):
                self._send(BROKEN)
                return
            self._send(Answer(OK, note) if note else Answer(NOT_FOUND, "Nothing of such a log was cosigned."))

        def _send(self, answer: Answer) -> None:
            content = answer.body.encode()
            self.send_response(answer.status)
            self.send_header("Content-Type", answer.content_type)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *arguments: object) -> None:
            """Say nothing: the state says what was cosigned."""

    return ThreadingHTTPServer((host, port), Handler)
