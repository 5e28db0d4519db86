"""A git repository as a source: read at a revision, from a path or as a copy, never checked out."""

import os
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest

from aiops_pipelines.rag.index_settings import Corpus
from aiops_pipelines.resources.documents import listing, read, snapshots
from aiops_pipelines.resources.sources.base import CorpusError
from aiops_pipelines.resources.sources.git import GitRevision

FIRST, SECOND = "2026-06-01T08:00:00+0000", "2026-06-08T09:30:00+0200"


def git(repository: Path, *arguments: str, at: str = FIRST) -> str:
    known = {f"GIT_{role}_{what}": "a" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    moment = {"GIT_AUTHOR_DATE": at, "GIT_COMMITTER_DATE": at}
    command = ["git", "-c", "protocol.file.allow=always", "-C", str(repository), *arguments]
    done = subprocess.run(command, check=True, capture_output=True, env={**os.environ, **known, **moment})
    return done.stdout.decode().strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """Two commits: in the second, one document is edited and code changes."""
    folder = tmp_path / "repository"
    (folder / "docs/deep").mkdir(parents=True)
    git(folder, "init", "-q", "-b", "main")
    (folder / "docs/fees.md").write_text("# Fees\n\nTwo euros.\n")
    (folder / "docs/deep/hours.md").write_text("# Hours\n\nFrom nine.\n")
    (folder / "docs/.draft.md").write_text("# Draft\n")
    (folder / "code.md").write_text("# Code\n")
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", "first")
    git(folder, "tag", "v1")
    (folder / "docs/fees.md").write_text("# Fees\n\nThree euros.\n")
    git(folder, "commit", "-q", "-am", "second", at=SECOND)
    return folder


def source(
    repository: object, revision: str = "main", folder: str = "docs/", copies: str = "/"
) -> GitRevision:
    return GitRevision(str(repository), revision, folder, Path(copies))


def documents(corpus: GitRevision) -> dict[str, tuple[bytes, datetime | None, str | None]]:
    found = {file.document: corpus.content(file) for file in corpus.files()}
    return {name: (content.data, content.modified_at, content.version) for name, content in found.items()}


def test_each_document_has_the_commit_that_brought_its_content_and_that_commits_time(
    repository: Path,
) -> None:
    first, second = git(repository, "rev-parse", "v1"), git(repository, "rev-parse", "main")
    assert documents(source(repository)) == {
        "fees.md": (b"# Fees\n\nThree euros.\n", datetime(2026, 6, 8, 7, 30, tzinfo=UTC), second),
        "deep/hours.md": (b"# Hours\n\nFrom nine.\n", datetime(2026, 6, 1, 8, tzinfo=UTC), first),
    }


def test_a_tag_a_commit_and_the_whole_repository_can_be_read(repository: Path) -> None:
    assert documents(source(repository, "v1"))["fees.md"][0] == b"# Fees\n\nTwo euros.\n"
    commit = git(repository, "rev-parse", "v1")
    assert documents(source(repository, commit)) == documents(source(repository, "v1"))
    assert set(documents(source(repository, folder=""))) == {"code.md", "docs/fees.md", "docs/deep/hours.md"}


def test_what_is_not_committed_is_not_read_and_nothing_is_written(repository: Path) -> None:
    (repository / "docs/fees.md").write_text("# Uncommitted\n")
    (repository / "docs/new.md").write_text("# New\n")
    before = sorted(str(path) for path in repository.rglob("*"))
    assert documents(source(repository))["fees.md"][0] == b"# Fees\n\nThree euros.\n"
    assert sorted(str(path) for path in repository.rglob("*")) == before


def test_only_edited_files_move_when_a_branch_does(repository: Path) -> None:
    corpus = source(repository)
    before, state = {file.document: file for file in corpus.files()}, corpus.state()
    (repository / "code.md").write_text("# Other code\n")
    git(repository, "commit", "-q", "-am", "code")
    assert corpus.state() != state
    assert {file.document: file for file in corpus.files()} == before
    (repository / "docs/fees.md").write_text("# Fees\n\nFour euros.\n")
    git(repository, "commit", "-q", "-am", "fees")
    after = {file.document: file for file in corpus.files()}
    assert {name for name in after if after[name] != before[name]} == {"fees.md"}
    assert corpus.content(after["fees.md"]).data == b"# Fees\n\nFour euros.\n"


def test_a_merge_dates_a_document_by_its_arrival_on_the_branch(repository: Path) -> None:
    git(repository, "checkout", "-q", "-b", "side", "v1")
    (repository / "docs/side.md").write_text("# Side\n")
    git(repository, "add", "-A")
    git(repository, "commit", "-q", "-m", "side")
    git(repository, "checkout", "-q", "main")
    merged = "2026-07-01T00:00:00+0000"
    git(repository, "merge", "-q", "--no-ff", "-m", "merge", "side", at=merged)
    assert documents(source(repository))["side.md"][1:] == (
        datetime(2026, 7, 1, tzinfo=UTC),
        git(repository, "rev-parse", "main"),
    )


def test_a_repository_elsewhere_is_copied_and_follows_its_branch(repository: Path, tmp_path: Path) -> None:
    corpus = source(repository.as_uri(), copies=str(tmp_path / "copies"))
    assert corpus.state() == git(repository, "rev-parse", "main")
    assert documents(corpus) == documents(source(repository))
    (repository / "docs/fees.md").write_text("# Fees\n\nFour euros.\n")
    git(repository, "commit", "-q", "-am", "third")
    assert documents(corpus)["fees.md"][0] == b"# Fees\n\nFour euros.\n"
    head = source(repository.as_uri(), "HEAD", copies=str(tmp_path / "copies"))
    assert documents(head) == documents(corpus)


def test_links_submodules_and_strange_names_are_not_read(repository: Path) -> None:
    (repository / "docs/out.md").symlink_to("/etc/passwd")
    (repository / "docs/it's; drop table.md").write_text("# x\n")
    Path(os.fsdecode(os.fsencode(repository) + b"/docs/caf\xe9.md")).write_text("# x")
    git(repository, "add", "-A")
    commit = git(repository, "rev-parse", "HEAD")
    git(repository, "update-index", "--add", "--cacheinfo", f"160000,{commit},docs/module")
    git(repository, "commit", "-q", "-m", "more")
    found = {file.document: file.refusal for file in source(repository).files()}
    assert found.pop("out.md").startswith("It is a link")
    assert found.pop("module").startswith("It is another repository")
    assert found.pop("caf\ufffd.md").startswith("Its name is not valid UTF-8")
    assert set(found) == {"fees.md", "deep/hours.md", "it's; drop table.md"} and not any(found.values())


def test_a_name_is_never_taken_for_a_commit(repository: Path) -> None:
    names = ("a\x01b c.md", "\x01" + "0" * 40 + " 1.md", "new\nline.md", "zulu.md")
    for name in names:
        (repository / "docs" / name).write_text("# x\n")
    git(repository, "add", "-A")
    git(repository, "commit", "-q", "-m", "names", at="2026-06-09T00:00:00+0000")
    found = documents(source(repository))
    assert {name: found[name][1] for name in ("zulu.md", "fees.md")} == {
        "zulu.md": datetime(2026, 6, 9, tzinfo=UTC),
        "fees.md": datetime(2026, 6, 8, 7, 30, tzinfo=UTC),
    }
    assert found["zulu.md"][2] == git(repository, "rev-parse", "main")


def test_a_commit_of_the_far_future_has_no_time(repository: Path) -> None:
    (repository / "docs/late.md").write_text("# Late\n")
    git(repository, "add", "-A")
    git(repository, "commit", "-q", "-m", "late", at="@999999999999 +0000")
    assert documents(source(repository))["late.md"][1] is None


def test_a_branch_elsewhere_is_not_taken_for_another_that_ends_like_it(
    repository: Path, tmp_path: Path
) -> None:
    git(repository, "branch", "a/main", "v1")
    corpus = source(repository.as_uri(), copies=str(tmp_path / "copies"))
    assert corpus.state() == corpus.commit == git(repository, "rev-parse", "main")


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"revision": "nope"}, "has no revision nope; change corpus.revision"),
        ({"revision": "--all"}, "has no revision --all"),
        ({"folder": "nope"}, "change corpus.folder"),
        ({"repository": "/nope"}, "There is no git repository /nope"),
        ({"repository": "file:///nope"}, "'/nope' does not appear to be a git repository"),
        ({"repository": "ext::sh -c touch% /tmp/owned"}, "not allowed"),
    ],
)
def test_a_mistake_is_a_sentence(
    repository: Path, tmp_path: Path, change: dict[str, str], sentence: str
) -> None:
    corpus = source(**{"repository": repository, "copies": str(tmp_path / "copies"), **change})
    with pytest.raises(CorpusError, match=sentence):
        corpus.files()


def test_a_folder_inside_another_repository_is_no_repository(repository: Path) -> None:
    with pytest.raises(CorpusError, match="not a git repository"):
        source(repository / "docs").files()


def test_a_missing_git_is_a_sentence(
    repository: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(CorpusError, match="install git"):
        source(repository).files()


def test_a_system_reads_its_repository(repository: Path, tmp_path: Path) -> None:
    corpus = Corpus(git="repository", revision="v1", folder=Path("docs")).rooted(tmp_path)
    (snapshot,) = snapshots(corpus)
    found, skipped = read(snapshot)
    assert [(d.document, d.title) for d in found] == [("deep/hours.md", "Hours"), ("fees.md", "Fees")]
    assert skipped == []
    versions = {snapshot.source.content(file).version for file in listing(snapshot)}
    assert versions == {git(repository, "rev-parse", "v1")}
