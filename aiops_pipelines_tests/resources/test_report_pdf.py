"""The report on paper: all that the page says, in its order, in a file that others can read, search and keep."""

import re
from collections.abc import Iterator
from functools import cache
from html import unescape
from io import BytesIO
from typing import Any

import pytest
from pypdf import PdfReader

from aiops_pipelines.compliance.report import canonical_json, compliance_report
from aiops_pipelines.resources import report_pdf as pdf
from aiops_pipelines.resources.pages import report_page
from aiops_pipelines.resources.report_pdf import PdfError, attached, report_pdf
from aiops_pipelines.wording import show
from aiops_pipelines_tests.compliance import august
from aiops_pipelines_tests.resources.test_pages import PAGES, drawn, hostile_evidence


@cache
def report(name: str) -> dict[str, Any]:
    evidence = {
        "report": august.evidence,
        "hostile report": hostile_evidence,
        "empty report": lambda: august.MonthEvidence(august.weeks.SYSTEM, august.MONTH, august.NOW),
    }[name]()
    return compliance_report(evidence)


@cache
def made(name: str) -> bytes:
    return report_pdf(report(name), drawn(name), canonical_json(report(name)))


@cache
def read(name: str) -> PdfReader:
    return PdfReader(BytesIO(made(name)))


def bare(text: str) -> str:
    """Return the text without white space, which lines and pages are broken at."""
    return re.sub(r"\s+", "", text)


@cache
def paper(name: str) -> str:
    """Return the words of the PDF without the foot of each page."""
    pages = [page.extract_text() for page in read(name).pages]
    assert all(re.search(rf"Page {n} of {len(pages)}$", page) for n, page in enumerate(pages, 1))
    return "".join(bare(re.sub(r"Compliance report: [^\n]*Page \d+ of \d+$", "", page)) for page in pages)


def said(page: str) -> Iterator[str]:
    """Yield each text of a page, charts left out."""
    body = re.sub(r"<svg.*?</svg>", "", page.split("<main>")[1].split("</main>")[0], flags=re.DOTALL)
    yield from filter(None, (bare(unescape(text)) for text in re.split(r"<[^>]*>", body)))


every_report = pytest.mark.parametrize("name", [name for name in PAGES if name.endswith("report")])


@every_report
def test_the_paper_says_all_that_the_page_says_in_its_order(name: str) -> None:
    at, words = 0, paper(name)
    for text in filter(lambda text: len(text) > 1, said(drawn(name))):  # a digit alone is found anywhere
        found = words.find(text, at)
        assert found >= 0, f"{text!r} is not in the PDF after {words[max(0, at - 80) : at]!r}"
        at = found + len(text)


@every_report
def test_every_figure_of_the_data_stands_in_a_row_with_its_name(name: str) -> None:
    for section in report(name)["sections"]:
        for figure in section["figures"]:
            none = f"NOT EVIDENCED {figure['missing']}"
            value = none if figure["value"] is None else show(figure["value"], figure["kind"])
            assert bare(f"{figure['label']}{value}{figure['key']}") in paper(name)


def test_the_charts_are_drawn_and_described() -> None:
    titles = [chart["title"] for section in report("report")["sections"] for chart in section["charts"]]
    tagged = [object_ for object_ in structure(read("report")) if object_.get("/S") == "/Figure"]
    assert titles and [figure["/Alt"].split(". ")[0] for figure in tagged] == titles
    assert "CANNOTTELL" in paper("report").split(bare(titles[0]))[1].split("Verdicts")[0]  # the legend


def structure(reader: PdfReader) -> Iterator[dict[str, Any]]:
    """Yield the elements of a tagged PDF, in reading order."""
    waiting = [reader.root_object["/StructTreeRoot"]]
    while waiting:
        element = waiting.pop(0)
        element = element.get_object() if hasattr(element, "get_object") else element
        if isinstance(element, dict):
            yield element
            kids = element.get("/K", [])
            kids = kids.get_object() if hasattr(kids, "get_object") else kids
            waiting = [*(kids if isinstance(kids, list) else [kids]), *waiting]


def test_it_is_tagged_and_named_and_has_bookmarks_and_a_language() -> None:
    reader, data = read("report"), report("report")
    assert reader.root_object["/Lang"] == "en" and reader.root_object["/MarkInfo"]["/Marked"]
    assert reader.metadata is not None
    assert reader.metadata.title == f"Compliance report: {data['system']['title']}, 2026-08"
    assert reader.metadata.author == data["system"]["owner"]
    assert reader.metadata.creation_date == august.NOW  # what the evidence was read up to, not a clock
    names = {element.get("/S") for element in structure(reader)}
    assert {"/H1", "/H2", "/Table", "/TH", "/TD", "/Figure", "/Link"} <= names
    bookmarks = [entry["/Title"] for entry in flat(reader.outline)]
    wanted = [f"{section['number']}\u2002{section['title']}" for section in data["sections"]]
    assert [mark for mark in bookmarks if mark in wanted][: len(wanted)] == wanted
    assert {"A\u2002Control matrix", "B\u2002Legal facts"} <= set(bookmarks)


def flat(outline: list[Any]) -> Iterator[Any]:
    for entry in outline:
        if isinstance(entry, list):
            yield from flat(entry)
        else:
            yield entry


def test_every_font_is_in_the_file_and_every_letter_has_a_meaning() -> None:
    reader = read("report")
    fonts = {
        font.get_object()["/BaseFont"]: font.get_object()
        for page in reader.pages
        for font in page["/Resources"]["/Font"].values()
    }
    assert fonts
    for font in fonts.values():
        [inner] = font["/DescendantFonts"]
        assert {"/FontFile2", "/FontFile3"} & inner.get_object()["/FontDescriptor"].get_object().keys()
        assert "/ToUnicode" in font
    assert "\u200b" not in paper("report")  # long words are broken without what would be copied along


def test_the_same_report_gives_the_same_bytes() -> None:
    again = compliance_report(august.evidence())
    assert report_pdf(again, report_page(again), canonical_json(again)) == made("report")


def test_it_carries_the_data() -> None:
    assert attached(made("report")) == canonical_json(report("report")).encode()
    assert attached(b"%PDF-1.7 no more") == attached(b"") == b""
    encrypted = made("report").replace(b"<</Size", b"<</Encrypt<</Filter/Other>>/Size")
    assert encrypted != made("report") and attached(encrypted) == b""


@pytest.mark.parametrize("own_fonts_alone", [True, False])
def test_letters_that_no_font_has_are_spelled_out(
    monkeypatch: pytest.MonkeyPatch, own_fonts_alone: bool
) -> None:
    if own_fonts_alone:  # a machine without fonts
        compiled = pdf._compiled
        monkeypatch.setattr(pdf, "_compiled", lambda inputs, own_fonts: compiled(inputs, True))
    unknown = "\U000f1234"  # for private use, so nobody's
    said = f"Ann\u00e9 &lt;{unknown}&gt; \u4e2d e\u0301"
    page = f"<title>T</title><main><h1>Head</h1><p>{said}</p></main>"
    words = PdfReader(BytesIO(report_pdf(report("report"), page, "{}"))).pages[0].extract_text()
    assert "Ann\u00e9 <<U+F1234>>" in words
    assert "<U+4E2D>" in words or (not own_fonts_alone and "\u4e2d" in words)


def test_private_letters_that_a_font_has_are_spelled_out_too() -> None:
    page = "<title>T</title><main><h1>Head</h1><p>Model \ue000 a</p></main>"
    words = PdfReader(BytesIO(report_pdf(report("report"), page, "{}"))).pages[0].extract_text()
    assert "Model <U+E000> a" in words


def test_what_the_template_does_not_know_makes_no_pdf_that_lacks_it() -> None:
    page = drawn("report").replace("<footer>", "<footer><aside>More.</aside>")
    with pytest.raises(PdfError, match="An element that the PDF does not know: aside"):
        report_pdf(report("report"), page, "{}")


def test_long_words_and_cells_that_are_taller_than_a_page_are_broken_and_not_cut() -> None:
    cells = f"<td class='words'>{'entry was edited; ' * 900}</td><td class='words'>{'x' * 3_000}</td>"
    tall = f"<title>T</title><main><h1>H</h1><table><tbody><tr>{cells}</tr></tbody></table>"
    page = f"{tall}<pre>{'z' * 3_000}</pre></main>"
    pages = PdfReader(BytesIO(report_pdf(report("report"), page, "{}"))).pages
    right = float(pages[0].mediabox.right)
    places: list[tuple[float, float]] = []

    def place(text: str, page: list[float], line: list[float], *_: object) -> None:
        if text.strip():
            places.append((line[4] * page[0] + page[4], line[5] * page[3] + page[5]))

    for one in pages:
        one.extract_text(visitor_text=place)
    assert len(pages) > 2 and all(0 < x < right and y > 0 for x, y in places)
    words = "".join(one.extract_text() for one in pages)
    assert max(map(len, words.splitlines())) < 200
    assert words.count("edited") == 900 and words.count("x") == words.count("z") == 3_000
