"""What a system's file says about its documents and the index that is made of them.

How documents are read is known by `resources.documents`, what an index is made with by `recipes`.
"""

import re
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import ConfigDict, Field, model_validator

from aiops_pipelines.part import Part

LEAST_CHARACTERS, MOST_CHARACTERS = 100, 10_000
"""Of a chunk, at most."""


class Corpus(Part):
    """What the system's index is built from: a folder, a folder of a git repository, or an object store."""

    folder: Path | None = None
    dated: bool = False
    """True when the folder holds one full snapshot per date (2026-06-01/...) instead of the documents."""
    git: str | None = None
    """A path, or the address of a repository elsewhere; `folder` then lies inside it."""
    revision: str = Field(default="HEAD", min_length=1)
    """Branch, tag or commit."""
    url: str | None = Field(default=None, pattern=r"^[a-z][a-z0-9+.]*://")
    """A prefix of an object store, for instance s3://bucket/handbook."""
    options: dict[str, Any] = Field(default_factory=dict)
    """Settings of the store that are no secrets, for instance anon: true."""
    quarantine: tuple[str, ...] = ()
    """Patterns of documents that are kept out of the index, for instance "imported/*.md"."""
    copies: Path = Path("warehouse/git")
    """Where copies of repositories elsewhere are kept."""

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if self.git and self.url:
            raise ValueError("give either git or url")
        if not (self.git or self.url or self.folder):
            raise ValueError("give folder, git or url")
        if self.url and self.folder:
            raise ValueError("url holds the whole prefix; leave folder out")
        if self.dated and (self.git or self.url):
            raise ValueError("dated belongs to a plain folder")
        if self.git and self.folder and (self.folder.is_absolute() or ".." in self.folder.parts):
            raise ValueError("folder lies inside the repository, so it is relative")
        return self

    @model_validator(mode="after")
    def _no_secrets(self) -> Self:
        addresses = [address for address in (self.git, self.url) if address and "://" in address]
        if any(re.search(r"://[^/@]*:[^/@]*@", address) for address in addresses):
            raise ValueError(
                "an address holds a password; leave it to the environment or a credential helper"
            )
        if named := [
            key
            for key, value in self.options.items()
            if re.search("secret|password|token|key|credential", key) and value != "anon"
        ]:
            raise ValueError(f"options holds {', '.join(named)}; leave secrets to the environment")
        return self

    def rooted(self, root: Path) -> Self:
        """Return the corpus with its relative paths taken from `root`."""
        paths: dict[str, Any] = {"copies": root / self.copies}
        if self.git:
            here = "://" not in self.git and not re.match(r"[^/]+:", self.git)
            paths |= {"git": str(root / self.git)} if here else {}
        elif self.folder:
            paths["folder"] = root / self.folder
        return self.model_copy(update=paths)


class EmbeddingClass(Part):
    """Any embedding class of LlamaIndex, a provider's for instance."""

    class_name: str = Field(alias="class", pattern=r"^\w+(\.\w+)+$")
    model: str
    provider: str
    dated_name: str
    """What the provider calls the weights as of a date; it stands for their hash."""
    dimension: int = Field(gt=0)
    arguments: dict[str, Any] = Field(default_factory=dict)
    prefix: str = ""
    query_prefix: str = ""
    languages: tuple[str, ...] = ()
    paid: bool = True

    model_config = ConfigDict(populate_by_name=True)


class Index(Part):
    """What the index of a new system is made with; later it is changed by a migration, not here."""

    embedding: Literal["all-MiniLM-L6-v2", "multilingual-e5-small"] | EmbeddingClass = "all-MiniLM-L6-v2"
    chunk_characters: int = Field(default=600, ge=LEAST_CHARACTERS, le=MOST_CHARACTERS)
    chunk_strategy: Literal["structure", "sentences", "overlapping"] = "structure"
