"""A prefix of an object store as a source, through fsspec: s3, gcs, abfs, a zip, and whatever else it knows.

Credentials are the store's own business (its environment or configuration files); none pass through here.
"""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

from aiops_pipelines.resources.sources.base import (
    LAST_NS,
    MAX_BYTES,
    TOO_BIG,
    Content,
    CorpusError,
    File,
    hidden,
    moment,
)
from aiops_pipelines.resources.sources.folder import CLOSED, NO_FILE
from aiops_pipelines.resources.unreadable import CHANGED, VANISHED, NotNow, UnreadableFile

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

_Info = Mapping[str, Any]
_TAGS = ("ETag", "etag", "md5Hash", "VersionId", "version_id", "generation", "content_md5", "CRC")
_WEB_TAGS = ("Content-MD5", "Digest", "Last-Modified")
_TIMES = ("LastModified", "last_modified", "mtime", "updated", "modified", "created", "date_time")


@dataclass(frozen=True)
class Objects:
    """Everything under a prefix such as `s3://bucket/handbook`; `options` go to the store's fsspec class."""

    url: str
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def place(self) -> str:
        """The prefix."""
        return f"the object store {self.url}"

    def state(self) -> str:
        """Return a hash of the listing."""
        found = sorted((f.document, f.size_bytes, f.modified_ns, f.etag) for f in self.files())
        return hashlib.sha256(repr(found).encode()).hexdigest()

    def files(self) -> list[File]:
        """Return every object under the prefix, with its size, time and etag."""
        store, prefix = self._store
        store.invalidate_cache()
        skip = len(prefix.rstrip("/")) + 1 if prefix.rstrip("/") else 0
        try:
            found = _found(store, prefix)
        except Exception as error:  # each store has errors of its own
            raise CorpusError(
                f"{self.url} cannot be listed ({_said(error)}); make it readable. The index stays as it is."
            ) from error
        named = {path[skip:]: info for path, info in found.items() if path[skip:]}
        return [_file(name, info) for name, info in named.items() if not hidden(name)]

    def author(self, document: str) -> None:
        """Nobody is named here."""

    def content(self, file: File) -> Content:
        """Return an object's bytes, if it is still the one that was listed."""
        store, prefix = self._store
        path = f"{prefix.rstrip('/')}/{file.document}" if prefix else file.document
        try:
            data = store.cat_file(path, start=0, end=MAX_BYTES + 1)
            store.invalidate_cache()
            now = _file(file.document, store.info(path))
        except FileNotFoundError as error:
            raise NotNow(VANISHED) from error
        except Exception as error:
            raise NotNow(f"It cannot be opened ({_said(error)}).") from error
        if len(data) > MAX_BYTES:
            raise UnreadableFile(TOO_BIG)
        if now != file or len(data) != file.size_bytes:
            raise NotNow(CHANGED)
        return Content(data, moment(file.modified_ns) if file.modified_ns else None, file.etag or None)

    @cached_property
    def _store(self) -> "tuple[AbstractFileSystem, str]":
        from fsspec.core import url_to_fs
        from fsspec.registry import known_implementations

        scheme = self.url.split("://")[0]
        try:
            store, prefix = url_to_fs(self.url, **self.options)
        except ImportError as error:
            package = str(known_implementations.get(scheme, {}).get("class", "")).split(".")[0]
            hint = f"install the package {package}" if package else "install its fsspec package"
            raise CorpusError(f"Nothing here can read {scheme}://; {hint}.") from error
        except Exception as error:
            if scheme not in known_implementations:
                said = f"No object store is called {scheme}://; change corpus.url."
                raise CorpusError(said) from error
            raise CorpusError(
                f"{self.url} cannot be opened ({_said(error)}); change corpus.url, or make it reachable."
            ) from error
        return store, prefix


def _found(store: "AbstractFileSystem", prefix: str) -> Mapping[str, _Info | None]:
    """Return what lies under a prefix, None standing for what cannot be looked at now.

    Where fsspec would walk the folders it leaves such a one out, and its documents would count as deleted.
    """
    from fsspec import AbstractFileSystem
    from fsspec.asyn import AsyncFileSystem

    ours, theirs = type(store), (AbstractFileSystem, AsyncFileSystem)
    if all(getattr(ours, "_find", ours.find) is not getattr(one, "_find", one.find) for one in theirs):
        listed: Mapping[str, _Info] = store.find(prefix, detail=True)
        return listed
    return dict(_walked(store, store._strip_protocol(prefix)))


def _walked(store: "AbstractFileSystem", prefix: str) -> Iterator[tuple[str, _Info | None]]:
    folders = [prefix]
    while folders:
        folder = folders.pop()
        try:
            listed = store.ls(folder, detail=True)
        except FileNotFoundError:  # gone since it was listed
            continue
        except Exception:  # each store has errors of its own
            if folder == prefix:
                raise
            yield folder, None
            continue
        for info in listed:
            path = info["name"].rstrip("/")
            if info["type"] != "directory":
                yield path, _sized(store, info)
            elif path != folder.rstrip("/"):
                folders.append(path)


def _sized(store: "AbstractFileSystem", info: _Info) -> _Info | None:
    """Return what is known of an object; one that is listed without its size, as on a page, is asked."""
    if info.get("size") is not None:
        return info
    try:
        found: _Info = store.info(info["name"])
    except Exception:  # each store has errors of its own
        return None
    return found


def _file(name: str, info: _Info | None) -> File:
    if info is None:
        return File(name, refusal=CLOSED, closed=True)
    if info.get("type", "file") != "file" or info.get("islink"):
        return File(name, refusal=NO_FILE)
    tag = next((str(info[key]) for key in (*_TAGS, *_WEB_TAGS) if info.get(key) is not None), "").strip('"')
    time = next((info[key] for key in _TIMES if info.get(key) is not None), None)
    ns = _nanoseconds(time)
    return File(name, int(info.get("size") or 0), ns if abs(ns) <= LAST_NS else 0, tag)


def _nanoseconds(time: Any) -> int:
    """Return a store's time (a datetime, seconds, ISO text or a zip's six numbers) in ns since 1970, or 0."""
    try:
        if isinstance(time, tuple | list):
            time = datetime(*time)
        elif isinstance(time, str):
            time = datetime.fromisoformat(time)
        elif isinstance(time, int | float):
            return round(time * 1e6) * 1000  # a float holds no more
        if isinstance(time, datetime):
            aware = time if time.tzinfo else time.replace(tzinfo=UTC)
            return int(aware.timestamp()) * 10**9 + aware.microsecond * 1000
    except (ValueError, OverflowError):
        pass
    return 0


def _said(error: Exception) -> str:
    """Return the kind of an error alone: a store's messages hold signed addresses."""
    return type(error).__name__
