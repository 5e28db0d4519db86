"""Announcements reach a file or a server on this machine once, also after it was away; failures are sentences."""

import json
import socketserver
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from aiops_pipelines.incidents.announcements import announcements
from aiops_pipelines.incidents.course import EVENTS
from aiops_pipelines.incidents.lifecycle import CHANGES, incidents
from aiops_pipelines.incidents.rules import SIGNALS
from aiops_pipelines.resources import notifier
from aiops_pipelines.resources.notifier import TABLE, deliver
from aiops_pipelines.systems import System

NOW = datetime(2026, 6, 8, 12, tzinfo=UTC)
TITLE = "Answers are slower than the limit or the baseline allows"


class Receiver(BaseHTTPRequestHandler):
    """Keeps what is posted; answers the statuses its server is told to, the last one for good."""

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        status = self.server.statuses.pop(0) if len(self.server.statuses) > 1 else self.server.statuses[0]
        self.server.received.append((self.headers["Content-Type"], body))
        self.send_response(status)
        self.send_header("Location", "/elsewhere")
        self.end_headers()

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()

    def log_message(self, *args: object) -> None:
        """Say nothing."""


class MailBox(socketserver.StreamRequestHandler):
    """The least a mail server does (RFC 5321)."""

    def handle(self) -> None:
        say = lambda line: self.wfile.write(f"{line}\r\n".encode())  # noqa: E731
        say("220 here")
        while line := self.rfile.readline().decode().strip():
            verb = line.split()[0].upper()
            if verb == "DATA":
                say("354 go on")
                lines = iter(self.rfile.readline, b".\r\n")
                self.server.received.append(b"".join(lines).decode())
            self.server.said.append(line)
            answer = self.server.answers.get(verb, "250 ok")
            say("221 bye" if verb == "QUIT" else answer.pop(0) if isinstance(answer, list) else answer)
            if verb == "STARTTLS":
                self.request = self.server.trust.wrap_socket(self.request, server_side=True)
                self.setup()


def serving(server: Any) -> Iterator[Any]:
    with server:
        server.received = []
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def server() -> Iterator[Any]:
    for running in serving(ThreadingHTTPServer(("127.0.0.1", 0), Receiver)):
        running.statuses = [200]
        yield running


@pytest.fixture
def mailbox() -> Iterator[Any]:
    for running in serving(socketserver.ThreadingTCPServer(("127.0.0.1", 0), MailBox)):
        running.answers, running.said = {}, []
        yield running


def url(server: Any) -> str:
    return f"http://127.0.0.1:{server.server_address[1]}/hooks/secret-part"


def system(*places: dict[str, Any]) -> System:
    fields = {"name": "support", "title": "Support <!channel>", "inference_log": {"folder": "x"}}
    return System.model_validate(fields | {"notifications": places or ({},)})


def found() -> pl.DataFrame:
    start, end = datetime(2026, 6, 1, tzinfo=UTC), datetime(2026, 6, 8, tzinfo=UTC)
    row = (
        "support",
        start,
        end,
        "latency_p95",
        "",
        "latency",
        "P3",
        12_000.0,
        10_000.0,
        "It & <he> was slow.",
    )
    signals = pl.DataFrame([row], schema=SIGNALS, orient="row")
    return incidents(signals, pl.DataFrame(schema=EVENTS), NOW, {"latency": "latency"})


def known() -> pl.DataFrame:
    """The incident as its table holds it."""
    return found().with_columns(looked_at=pl.lit(NOW), runbook_digest=pl.lit(None, pl.String))


def queue(warehouse, of: System, *changes: str, at: datetime = NOW) -> str:
    """Store what is to be announced; return the incident's number."""
    number = found()["incident_id"].item()
    rows = [("support", number, change) for change in changes] + [("other", "INC-other", "opened")]
    told = announcements(pl.DataFrame(rows, schema=CHANGES, orient="row"), found(), of, at)
    with warehouse.writing() as writer:
        writer.append(TABLE, told)
    return number


def run(warehouse, of: System, folder: Path, now: datetime = NOW) -> list[str]:
    return deliver(warehouse, of, folder, now, pauses_s=(0, 0))


def test_the_log_and_a_webhook_get_a_change_once(warehouse, tmp_path, server):
    told = system({}, {"kind": "webhook", "url": url(server)})
    number = queue(warehouse, told, "opened")
    assert run(warehouse, told, tmp_path) == run(warehouse, told, tmp_path) == []
    (line,) = (tmp_path / "support.jsonl").read_text().splitlines()
    ((kind, posted),) = server.received
    message = json.loads(line)
    assert kind == "application/json" and posted == message | {"id": posted["id"]} and posted["id"]
    assert message["text"] == f"Support <!channel>: {number} (P3) opened: {TITLE}."
    assert (message["runbook"], message["acknowledge_due_at"]) == ("latency", "2026-06-08T17:00:00+00:00")
    assert message["due"] == "Acknowledge by 8\xa0Jun\xa02026 17:00\xa0UTC."
    stored = warehouse.rows(TABLE)
    assert stored["sent_at"].to_list() == [NOW, NOW] and stored["failure"].to_list() == [None, None]


def test_what_was_not_sent_is_sent_by_a_later_run_in_order_and_once(warehouse, tmp_path, server):
    told = system({"kind": "webhook", "url": url(server)})
    number = queue(warehouse, told, "opened", "escalate")
    server.statuses = [404]
    (failure,) = run(warehouse, told, tmp_path)
    assert failure == (
        f"2 announcements for webhook ({number}) could not be sent: it answered 404. Each run tries again, "
        "for three days."
    )
    assert len(server.received) == 1, "the second waits for the first"
    server.received, server.statuses = [], [200]
    assert run(warehouse, told, tmp_path) == run(warehouse, told, tmp_path) == []
    assert [body["change"] for _, body in server.received] == ["opened", "escalate"]


def test_a_place_that_stumbles_is_asked_again_in_the_same_run(warehouse, tmp_path, server):
    told = system({"kind": "webhook", "url": url(server)})
    queue(warehouse, told, "opened")
    server.statuses = [503, 429, 200]
    assert run(warehouse, told, tmp_path) == []
    assert len(server.received) == 3


def test_after_three_days_it_is_given_up(warehouse, tmp_path, server):
    told = system({"kind": "webhook", "url": url(server)})
    queue(warehouse, told, "opened")
    assert run(warehouse, told, tmp_path, NOW + timedelta(days=3)) == []
    assert not server.received and warehouse.rows(TABLE)["sent_at"].to_list() == [None]


def test_what_is_given_up_is_told_until_its_incident_is_resolved(warehouse, tmp_path, server):
    told = system({"kind": "webhook", "url": url(server)})
    number = queue(warehouse, told, "opened")
    warehouse.replace("incidents.incidents", known(), system="support")
    server.statuses = [404]
    run(warehouse, told, tmp_path)
    assert run(warehouse, told, tmp_path, NOW + timedelta(days=4)) == [
        f"1 announcement for webhook ({number}) could not be sent for three days and will not be: it answered "
        "404. Tell people yourself; this stands until the incident is resolved."
    ]
    resolved = known().with_columns(status=pl.lit("resolved"))
    warehouse.replace("incidents.incidents", resolved, system="support")
    assert run(warehouse, told, tmp_path, NOW + timedelta(days=4)) == []


def test_what_waits_goes_to_the_place_whose_address_was_corrected(warehouse, tmp_path, server):
    wrong = system({"kind": "webhook", "url": f"{url(server)}/wrong"})
    queue(warehouse, wrong, "opened", "escalate")
    server.statuses = [404]
    run(warehouse, wrong, tmp_path)
    server.received, server.statuses = [], [200]
    right = system({"kind": "webhook", "url": url(server)})
    assert run(warehouse, right, tmp_path) == run(warehouse, right, tmp_path) == []
    assert [body["change"] for _, body in server.received] == ["opened", "escalate"]
    assert warehouse.rows(TABLE)["place"].unique().to_list() == [right.notifications[0].key]


def test_a_place_that_was_told_the_same_does_not_hear_it_for_one_that_is_gone(warehouse, tmp_path, server):
    kept, gone = ({"kind": "webhook", "url": url(server) + part} for part in ("", "/gone"))
    queue(warehouse, system(kept, gone), "opened")
    assert run(warehouse, system(kept), tmp_path) == run(warehouse, system(kept), tmp_path) == []
    assert len(server.received) == 1


def test_what_waits_for_a_place_without_a_successor_is_told(warehouse, tmp_path):
    number = queue(warehouse, system({"kind": "webhook", "url": "http://127.0.0.1:1"}), "opened")
    assert run(warehouse, system({}), tmp_path) == [
        f"1 announcement for webhook ({number}) cannot be sent: the system's file names their place no more, "
        "and no other of its kind that wants them. Name one within three days, or tell people yourself."
    ]


def test_one_place_that_fails_does_not_keep_the_others_from_hearing(warehouse, tmp_path):
    told = system({"kind": "webhook", "url": "ftp://127.0.0.1/secret"}, {})
    queue(warehouse, told, "opened")
    (failure,) = run(warehouse, told, tmp_path)
    assert "its url does not start with" in failure and "secret" not in failure
    assert (tmp_path / "support.jsonl").exists()


@pytest.mark.parametrize(
    "address", ["", "file:///etc/hosts", "https://", "http://[broken", "http://127.0.0.1:1/secret"]
)
def test_an_address_that_leads_nowhere_is_a_sentence_without_it(warehouse, tmp_path, address):
    told = system({"kind": "webhook", "url": address})
    queue(warehouse, told, "opened")
    (failure,) = run(warehouse, told, tmp_path)
    assert "could not be sent" in failure and "secret" not in failure and "127" not in failure


def test_a_redirection_is_no_delivery(warehouse, tmp_path, server):
    told = system({"kind": "webhook", "url": url(server)})
    queue(warehouse, told, "opened")
    server.statuses = [302]
    assert "it answered 302" in run(warehouse, told, tmp_path)[0]


ALMOST_FULL = """
import resource, signal, sys
from pathlib import Path
from aiops_pipelines.resources.notifier import NotSentError, _to_log
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
log = Path(sys.argv[1])
_to_log(log, {"text": "one"})
resource.setrlimit(resource.RLIMIT_FSIZE, (log.stat().st_size + 5, resource.RLIM_INFINITY))
try:
    _to_log(log, {"text": "two"})
except NotSentError as error:
    print(error)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
_to_log(log, {"text": "two"})
"""


@pytest.mark.skipif(sys.platform == "win32", reason="file size limits are POSIX")
def test_of_a_message_that_does_not_fit_nothing_stays(tmp_path):
    log = tmp_path / "sent.jsonl"
    command = [sys.executable, "-W", "ignore", "-c", ALMOST_FULL, str(log)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == "sent.jsonl cannot be written (No space left on device)\n"
    assert [json.loads(line)["text"] for line in log.read_text().splitlines()] == ["one", "two"]


def test_a_log_that_cannot_be_written_is_a_sentence(warehouse, tmp_path):
    (tmp_path / "file").write_text("")
    queue(warehouse, system(), "opened")
    assert "support.jsonl cannot be written" in run(warehouse, system(), tmp_path / "file")[0]


def test_slack_gets_text_in_which_nothing_is_active(warehouse, tmp_path, server, monkeypatch):
    monkeypatch.setenv("SLACK_URL", url(server))
    told = system({"kind": "slack", "secrets": {"url": "SLACK_URL"}})
    number = queue(warehouse, told, "opened")
    assert run(warehouse, told, tmp_path) == []
    ((_, body),) = server.received
    assert body == {
        "text": f"*Support &lt;!channel&gt;: {number} (P3) opened: {TITLE}.*\n"
        "Acknowledge by 8\xa0Jun\xa02026 17:00\xa0UTC.\nIt &amp; &lt;he&gt; was slow.\n"
        f"Runbook: latency. aiops incident show {number} --system support",
        "unfurl_links": False,
        "unfurl_media": False,
    }
    assert "secret-part" not in str(warehouse.rows(TABLE).rows())


def test_pagerduty_gets_events_of_one_alert(warehouse, tmp_path, server, monkeypatch):
    """Fields of https://developer.pagerduty.com/docs/events-api-v2/trigger-events."""
    monkeypatch.setenv("PAGER_KEY", "k" * 32)
    told = system({"kind": "pagerduty", "url": url(server), "secrets": {"routing_key": "PAGER_KEY"}})
    number = queue(warehouse, told, "opened", "acknowledged", "raised to P1", "resolved")
    server.statuses = [202]
    assert run(warehouse, told, tmp_path) == []
    events = [body for _, body in server.received]
    assert [event["event_action"] for event in events] == ["trigger", "acknowledge", "trigger", "resolve"]
    assert {(event["routing_key"], event["dedup_key"]) for event in events} == {
        ("k" * 32, f"support/{number}")
    }
    payload = events[0]["payload"]
    assert (payload["source"], payload["severity"], payload["class"]) == ("support", "warning", "latency")
    assert payload["summary"].startswith("Support <!channel>: INC-") and len(payload["summary"]) <= 1024
    assert payload["custom_details"]["runbook"] == "latency"
    assert "payload" not in events[1]


def test_a_letter_has_a_subject_a_text_and_the_announcement_as_its_id(warehouse, tmp_path, mailbox):
    place = {"server": f"127.0.0.1:{mailbox.server_address[1]}", "encryption": "none", "kind": "email"}
    told = system(place | {"sender": "aiops@example.com", "to": ["ann@example.com", "bo@example.com"]})
    number = queue(warehouse, told, "opened")
    assert run(warehouse, told, tmp_path) == []
    (letter,) = mailbox.received
    for part in (f"{number} (P3) opened", "From: aiops@example.com", "To: ann@example.com, bo@example.com"):
        assert part in letter
    assert f"Message-ID: <{warehouse.rows(TABLE)['announcement_id'].item()}@support" in letter
    assert sum("RCPT TO" in line.upper() for line in mailbox.said) == 2


def test_a_mail_server_that_refuses_is_a_sentence(warehouse, tmp_path, mailbox):
    mailbox.answers = {"MAIL": "550 not you"}
    place = {"server": f"127.0.0.1:{mailbox.server_address[1]}", "encryption": "none", "kind": "email"}
    told = system(place | {"sender": "aiops@example.com", "to": ["ann@example.com"]})
    queue(warehouse, told, "opened")
    assert "the server answered 550" in run(warehouse, told, tmp_path)[0]


def certified(folder: Path) -> tuple[Path, ssl.SSLContext]:
    """A certificate of 127.0.0.1 that nobody but itself has signed, and what a server needs to show it."""
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([])
    address = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
    made = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    made = made.not_valid_before(datetime(2020, 1, 1)).not_valid_after(datetime(2120, 1, 1))
    signed = made.add_extension(address, critical=True).sign(key, hashes.SHA256())
    pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    file, keys = folder / "certificate.pem", folder / "key.pem"
    file.write_bytes(signed.public_bytes(pem))
    keys.write_bytes(key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file, keys)
    return file, context


@pytest.mark.parametrize("encryption", ["tls", "starttls"])
def test_a_mail_server_that_nobody_vouches_for_gets_nothing(
    warehouse, tmp_path, mailbox, monkeypatch, encryption
):
    file, mailbox.trust = certified(tmp_path)
    mailbox.handle_error = lambda *_: None
    if encryption == "tls":
        mailbox.socket = mailbox.trust.wrap_socket(mailbox.socket, server_side=True)
    mailbox.answers = {"EHLO": "250-here\r\n250 STARTTLS", "STARTTLS": "220 go on"}
    place = {"server": f"127.0.0.1:{mailbox.server_address[1]}", "encryption": encryption, "kind": "email"}
    told = system(place | {"sender": "aiops@example.com", "to": ["ann@example.com"]})
    queue(warehouse, told, "opened")
    (failure,) = run(warehouse, told, tmp_path)
    assert "the server cannot be reached (certificate verify failed)" in failure and not mailbox.received
    monkeypatch.setenv("SSL_CERT_FILE", str(file))
    assert run(warehouse, told, tmp_path) == [] and len(mailbox.received) == 1


def test_a_receiver_that_is_refused_is_told_and_the_others_hear_once(warehouse, tmp_path, mailbox):
    mailbox.answers = {"RCPT": ["250 ok", "550 nobody"]}
    place = {"server": f"127.0.0.1:{mailbox.server_address[1]}", "encryption": "none", "kind": "email"}
    told = system(place | {"sender": "aiops@example.com", "to": ["ann@example.com", "gone@example.com"]})
    number = queue(warehouse, told, "opened")
    warehouse.replace("incidents.incidents", known(), system="support")
    for _ in range(2):
        assert run(warehouse, told, tmp_path) == [
            f"1 announcement for email ({number}) did not reach everybody: the server refused 1 of 2 "
            "receivers. Tell them yourself and correct the place; this stands until the incident is resolved."
        ]
    assert len(mailbox.received) == 1


def test_a_secret_that_is_not_set_is_named_by_its_variable(warehouse, tmp_path):
    told = system({"kind": "slack", "secrets": {"url": "NOT_SET_HERE"}})
    queue(warehouse, told, "opened")
    assert "the environment variable NOT_SET_HERE is not set" in run(warehouse, told, tmp_path)[0]


def test_a_place_hears_only_of_what_it_asked_for(warehouse, tmp_path):
    told = system(
        {"changes": ["escalate"]}, {"kind": "webhook", "severities": ["P1"], "url": "http://127.0.0.1:1"}
    )
    queue(warehouse, told, "opened", "escalate")
    assert warehouse.rows(TABLE).select("change", "place").rows() == [("escalate", told.notifications[0].key)]


def test_a_run_killed_while_it_sends_loses_nothing(warehouse, tmp_path, server, monkeypatch):
    told = system({"kind": "webhook", "url": url(server)})
    queue(warehouse, told, "opened", "escalate")
    monkeypatch.setattr(notifier, "_mark", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        run(warehouse, told, tmp_path)
    monkeypatch.undo()
    assert run(warehouse, told, tmp_path) == []
    ids = [body["id"] for _, body in server.received]
    assert [body["change"] for _, body in server.received] == ["opened", "opened", "escalate"]
    assert ids[0] == ids[1] != ids[2]
