"""Announcements reach a file or a server on this machine, and failures are sentences."""

import json
import threading
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer

import polars as pl
import pytest

from aiops_pipelines.incidents.course import EVENTS
from aiops_pipelines.incidents.lifecycle import CHANGES, incidents
from aiops_pipelines.incidents.rules import SIGNALS
from aiops_pipelines.resources.notifier import LogNotifier, WebhookNotifier, announce
from aiops_pipelines.systems import Notification, System

NOW = datetime(2026, 6, 8, 12, tzinfo=UTC)
MESSAGE = {"incident_id": "INC-1", "text": "Größer als das Limit\nzweite Zeile", "at": NOW}


class Receiver(BaseHTTPRequestHandler):
    """Keeps what is posted; answers the status its server is told to."""

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.received.append((self.headers["Content-Type"], json.loads(body)))
        self.send_response(self.server.status)
        self.end_headers()

    def log_message(self, *args):
        """Say nothing."""


@pytest.fixture
def server():
    with HTTPServer(("127.0.0.1", 0), Receiver) as server:
        server.received, server.status = [], 200
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def url(server: HTTPServer) -> str:
    return f"http://127.0.0.1:{server.server_port}/hooks/secret-part"


def test_a_log_gets_one_json_line_for_each_change(tmp_path):
    log = LogNotifier(tmp_path / "new" / "support.jsonl")
    assert [log.notify(MESSAGE), log.notify(MESSAGE)] == [None, None]
    lines = log.file.read_text(encoding="utf-8").splitlines()
    assert [json.loads(line) for line in lines] == [MESSAGE | {"at": "2026-06-08T12:00:00+00:00"}] * 2


def test_a_log_that_cannot_be_written_is_a_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    failure = LogNotifier(tmp_path / "file" / "support.jsonl").notify(MESSAGE)
    assert failure.startswith("INC-1 was not written to support.jsonl")


def test_a_webhook_gets_json(server):
    assert WebhookNotifier(url(server)).notify(MESSAGE) is None
    assert server.received == [("application/json", MESSAGE | {"at": "2026-06-08T12:00:00+00:00"})]


@pytest.mark.parametrize("status", [404, 500])
def test_a_webhook_that_refuses_is_a_sentence_without_its_address(server, status):
    server.status = status
    failure = WebhookNotifier(url(server)).notify(MESSAGE)
    assert failure == f"INC-1 was not posted: the webhook answered {status}."


def test_a_webhook_that_is_away_is_a_sentence_without_its_address(server):
    address = url(server).replace(str(server.server_port), "1")
    failure = WebhookNotifier(address, timeout_s=2).notify(MESSAGE)
    assert failure.startswith("INC-1 was not posted: the webhook cannot be reached")
    assert "secret" not in failure


@pytest.mark.parametrize(
    "address", ["", "file:///etc/hosts", "ftp://127.0.0.1/x", "https://", "http://[broken"]
)
def test_an_address_that_is_no_webhook_is_a_sentence(address):
    assert WebhookNotifier(address, timeout_s=2).notify(MESSAGE).startswith("INC-1 was not posted")


def story(*places: Notification) -> tuple[System, pl.DataFrame, pl.DataFrame]:
    fields = {
        "name": "support",
        "title": "Support",
        "inference_log": {"folder": "x"},
        "notifications": places,
    }
    start, end = datetime(2026, 6, 1, tzinfo=UTC), datetime(2026, 6, 8, tzinfo=UTC)
    row = ("support", start, end, "latency_p95", "", "latency", "P3", 12_000.0, 10_000.0, "It was slow.")
    signals = pl.DataFrame([row], schema=SIGNALS, orient="row")
    found = incidents(signals, pl.DataFrame(schema=EVENTS), NOW, {"latency": "latency"})
    changes = [("support", found["incident_id"].item(), "opened"), ("other", "INC-other", "opened")]
    return System.model_validate(fields), found, pl.DataFrame(changes, schema=CHANGES, orient="row")


def test_a_change_is_announced_everywhere_the_system_asks_for(tmp_path, server):
    system, found, changes = story(Notification(), Notification(kind="webhook", url=url(server)))
    assert announce(changes, found, system, tmp_path, NOW) == []
    (line,) = (tmp_path / "support.jsonl").read_text().splitlines()
    message = json.loads(line)
    assert server.received == [("application/json", message)]
    number = found["incident_id"].item()
    assert (
        message["text"]
        == f"Support: {number} (P3) opened: Answers are slower than the limit or the baseline allows."
    )
    assert (message["runbook"], message["acknowledge_due_at"]) == ("latency", "2026-06-08T17:00:00+00:00")


def test_one_place_that_fails_does_not_keep_the_others_from_hearing(tmp_path):
    system, found, changes = story(Notification(kind="webhook"), Notification())
    (failure,) = announce(changes, found, system, tmp_path, NOW)
    assert "was not posted" in failure
    assert (tmp_path / "support.jsonl").exists()
