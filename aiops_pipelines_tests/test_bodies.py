"""What assets show in Dagster's UI: text from outside is shown, and nothing more."""

import polars as pl
import pytest
from markdown_it import MarkdownIt

pytestmark = pytest.mark.filterwarnings("ignore:.*is currently in beta")
HOSTILE = (
    "![x](https://evil.example/pixel)",
    "[click](javascript:alert(1))",
    "<img src=https://evil.example/pixel>",
    "a | b | c",
    "`code` *loud* _soft_ ~~gone~~",
    "back\\slash\\",
)


def rendered(text: str) -> tuple[set[str], list[str]]:
    """Kinds of what stands in the cell of a table with one row, and the texts in it."""
    from aiops_pipelines.defs.bodies import table

    shown = (
        MarkdownIt("commonmark")
        .enable(["table", "strikethrough"])
        .parse(table(pl.DataFrame({"said": [text]})).value)
    )
    cells = [token for token in shown if token.type == "inline"][1:]
    return {part.type for cell in cells for part in cell.children or ()}, [cell.content for cell in cells]


@pytest.mark.parametrize("text", HOSTILE)
def test_a_cell_shows_its_text_and_fetches_nothing(text):
    kinds, cells = rendered(text)
    assert len(cells) == 1
    assert kinds <= {"text", "text_special"}


def test_what_turns_text_around_is_spelled_out():
    assert "<U+202E>" in rendered("a\u202eb")[1][0].replace("\\", "")
