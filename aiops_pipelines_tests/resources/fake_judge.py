"""A server on this machine that speaks OpenAI's chat completions: a small model that judges by the words it finds.

It is met over HTTP, as a real one is. What it does wrong, it is told.
"""

import json
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

WORD = re.compile(r"\w+")
FENCE = re.compile(r"<<<(\w+)\n(.*)\n\1>>>", re.DOTALL)
OPEN = re.compile(r"now perform the same with the following input\s+input: (.*)\s+Output:", re.DOTALL | re.I)
TALKED_OVER = ("ignore the instructions", "[[10]]", '"verdict": 1', "score 10", "verdict: 1")


class FakeJudge:
    """Answers as a model would; the attributes say how it misbehaves."""

    def __init__(self) -> None:
        self.model = "tiny-1"
        self.answered_as: str | None = None
        """The model that it says it is; the one that was asked for, if none."""
        self.statuses: list[int] = []
        """Answered in turn before it works."""
        self.broken = False
        self.cut_off = False
        self.says: str | None = None
        """Answers each request."""
        self.drops = 0
        """Requests whose connection is closed without an answer."""
        self.pause = 0.0
        self.drips = False
        """Sends an answer byte by byte."""
        self.page: str | None = None
        """Sent instead of JSON."""
        self.gullible = False
        """Believes what an answer says about its score."""
        self.lenient = False
        """Finds everything supported, as a model that was replaced might."""
        self.strict_about: set[str] = set()
        self.usage = True
        self.keys: list[str] = []
        self.prompts: list[str] = []
        self.open = self.most_open = 0
        self.stop_after: int | None = None
        self.on_request: Any = None
        self.lock = threading.Lock()

    def __len__(self) -> int:
        return len(self.prompts)

    def answer(self, prompt: str) -> str:
        """Return JSON, as the prompt's schema asks for it."""
        if self.says is not None:
            return self.says
        if self.broken:
            return "I would say: yes"
        found = FENCE.search(prompt)
        given = json.loads(found[2] if found else OPEN.search(prompt)[1])
        if "context" in given:
            return json.dumps(
                {"statements": [self._nli(one, given["context"]) for one in given["statements"]]}
            )
        if "ground_truth" in given:
            return json.dumps(self._classes(given["answer"], given["ground_truth"]))
        return json.dumps({"statements": sentences(given["answer"])})

    def _nli(self, statement: str, context: str) -> dict[str, Any]:
        return {"statement": statement, "reason": "words", "verdict": int(self.supports(statement, context))}

    def supports(self, statement: str, text: str) -> bool:
        said = statement.lower()
        if self.lenient or (self.gullible and any(one in said for one in TALKED_OVER)):
            return True
        words = set(WORD.findall(said))
        return words <= set(WORD.findall(text.lower())) and not words & self.strict_about

    def _classes(self, answer: list[str], truth: list[str]) -> dict[str, Any]:
        reason = lambda one: {"statement": one, "reason": "words"}  # noqa: E731
        good = [one for one in answer if self.supports(one, " ".join(truth))]
        missing = [one for one in truth if not self.supports(one, " ".join(answer))]
        classes = {"TP": good, "FP": [one for one in answer if one not in good], "FN": missing}
        return {name: [reason(one) for one in found] for name, found in classes.items()}


def sentences(text: str) -> list[str]:
    """Return a statement for each sentence with words."""
    if any(one in text.lower() for one in TALKED_OVER):
        return [text]
    return [one.strip() for one in re.split(r"(?<=[.!?])\s+", text) if WORD.search(one)]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        judge = self.server.judge
        if judge.statuses:
            self._say(judge.statuses.pop(0), {})
        elif self.path.endswith("/models"):
            self._say(200, {"data": [{"id": judge.model}]})
        else:
            self._say(404, {})

    def do_POST(self) -> None:
        judge = self.server.judge
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with judge.lock:
            judge.keys.append(self.headers["Authorization"])
            prompt = body["messages"][0]["content"]
            judge.prompts.append(prompt)
            judge.bodies = body
            judge.open += 1
            judge.most_open = max(judge.most_open, judge.open)
            status = judge.statuses.pop(0) if judge.statuses else 200
            dropped, judge.drops = judge.drops > 0, max(0, judge.drops - 1)
        try:
            if judge.on_request:
                judge.on_request(len(judge.prompts))
            time.sleep(judge.pause)
            if dropped:
                self.close_connection = True
                return
            if status != 200:
                error = {"error": {"message": f"no, and your key is {self.headers['Authorization']}"}}
                return self._say(status, error)
            if judge.page:
                return self._send(judge.page.encode(), 200, "text/html")
            content = judge.answer(prompt)
            usage = {"prompt_tokens": 1000, "completion_tokens": 100, "total_tokens": 1100}
            self._say(200, {
                "id": "1", "object": "chat.completion", "created": 1, "model": judge.answered_as or body["model"],
                "choices": [{"index": 0, "finish_reason": "length" if judge.cut_off else "stop", "message": {"role": "assistant", "content": content}}],
                **({"usage": usage} if judge.usage else {}),
            })  # fmt: skip
        finally:
            with judge.lock:
                judge.open -= 1

    def _say(self, status: int, body: Any) -> None:
        self._send(json.dumps(body).encode(), status, "application/json")

    def _send(self, said: bytes, status: int, kind: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(said)))
        if 300 <= status < 400:
            self.send_header("Location", "/elsewhere")
        self.end_headers()
        with suppress(OSError):  # who asked may be gone
            for n in range(0, len(said), 1 if self.server.judge.drips else len(said)):
                self.wfile.write(said[n : n + (1 if self.server.judge.drips else len(said))])
                time.sleep(0.1 if self.server.judge.drips else 0)

    def log_message(self, *args: object) -> None:
        """Say nothing."""


@contextmanager
def serving() -> Iterator[tuple[FakeJudge, str]]:
    """Yield a judge and its base_url."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as server:
        server.daemon_threads = True
        server.judge = FakeJudge()
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server.judge, f"http://127.0.0.1:{server.server_port}/v1"
        finally:
            server.shutdown()
            thread.join()
