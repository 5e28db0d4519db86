"""A child process that parses documents, with limits of memory and time, so that none can take a run down.

One process reads many documents; one that breaches a limit ends with it, and the next starts anew. What it
runs is `limited_reader`; only bytes go in and only text comes out.
"""

import json
import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import cache
from weakref import finalize

from aiops_pipelines.resources.unreadable import UnreadableFile

_MODULE = "aiops_pipelines.resources.limited_reader"
_PASSED_ON = ("PATH", "PYTHONPATH", "SYSTEMROOT", "LANG", "LC_ALL", "TMPDIR")
"""The child needs nothing else of the environment, and above all no credentials."""


@dataclass(frozen=True)
class Limits:
    """What one document may cost; the longest page of a large corpus takes a few seconds and 200 MB."""

    cpu_s: int = 30
    wall_s: float = 60.0
    memory_bytes: int = 1024 * 1024 * 1024
    text_bytes: int = 40 * 1024 * 1024


class LimitedReader:
    """Extraction in a limited child process, which is started when it is first needed."""

    def __init__(self, limits: Limits = Limits()):
        self.limits = limits
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._owner = 0
        self._spent_s = 0.0
        self._before_s = 0.0

    @property
    def cpu_s(self) -> float:
        """CPU seconds of all its children up to their last answer."""
        return self._before_s + self._spent_s

    def extract(self, ending: str, data: bytes) -> str:
        """Return the text that a file's bytes hold.

        Raises:
            UnreadableFile: they are not of this format, or took more than the limits allow.
        """
        with self._lock:
            process = self._running()
            deadline = time.monotonic() + self.limits.wall_s
            try:
                return self._answer(process, ending, data, deadline)
            except (BrokenPipeError, EOFError, TimeoutError) as error:
                with suppress(subprocess.TimeoutExpired):  # one that died by itself says of what
                    process.wait(0.2)
                died_of = process.returncode
                _finish(process)
                raise UnreadableFile(self._breach(error, died_of)) from error

    def close(self) -> None:
        """End the child."""
        if self._process and self._owner == os.getpid():
            _finish(self._process)

    def _running(self) -> "subprocess.Popen[bytes]":
        mine = self._process and self._owner == os.getpid()  # a fork must not speak to its parent's child
        if self._process and mine and self._process.poll() is None:
            return self._process
        environment = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
        self._process = process = subprocess.Popen(
            # -P: a corpus in the working folder must not be imported from
            [sys.executable, "-P", "-W", "ignore", "-m", _MODULE, json.dumps(asdict(self.limits))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
        )
        self._owner = os.getpid()
        self._before_s, self._spent_s = self.cpu_s, 0.0
        finalize(self, _finish_own, process, self._owner)
        return process

    def _answer(self, process: "subprocess.Popen[bytes]", ending: str, data: bytes, deadline: float) -> str:
        assert process.stdin and process.stdout
        process.stdin.write(json.dumps({"ending": ending, "bytes": len(data)}).encode() + b"\n" + data)
        process.stdin.flush()
        received = _received(process, deadline)
        head, rest = b"", b""
        for part in received:
            head, separator, rest = (head + part).partition(b"\n")
            if separator:
                break
        said = json.loads(head)
        self._spent_s = said["cpu_s"]
        if "refused" in said:
            raise UnreadableFile(str(said["refused"]))
        if "missing" in said:
            raise ImportError(said["missing"])
        parts, missing = [rest], int(said["bytes"]) - len(rest)
        while missing > 0:
            parts.append(next(received))
            missing -= len(parts[-1])
        return b"".join(parts).decode()

    def _breach(self, error: Exception, died_of: int | None) -> str:
        if isinstance(error, TimeoutError) or died_of == -signal.SIGXCPU:
            return f"Reading it takes more than {self.limits.cpu_s} s; split it, or save it anew."
        return "Reading it ended its reader; save it anew."


@cache
def reader() -> LimitedReader:
    """Return this process's reader."""
    return LimitedReader()


def cpu_seconds() -> float:
    """Return the CPU time of this process and of its reader."""
    return time.process_time() + reader().cpu_s


def _received(process: "subprocess.Popen[bytes]", deadline: float) -> Iterator[bytes]:
    assert process.stdout
    answers = select.poll()
    answers.register(process.stdout, select.POLLIN)
    while True:
        if not answers.poll(1000 * max(0.0, deadline - time.monotonic())):
            raise TimeoutError
        part = os.read(process.stdout.fileno(), 1 << 20)
        if not part:
            raise EOFError
        yield part


def _finish_own(process: "subprocess.Popen[bytes]", owner: int) -> None:
    if os.getpid() == owner:  # a fork leaves its parent's child alone
        _finish(process)


def _finish(process: "subprocess.Popen[bytes]") -> None:
    process.kill()
    process.wait()
    for stream in (process.stdin, process.stdout):
        with suppress(OSError):
            if stream:
                stream.close()
