from hypothesis import given
from hypothesis import strategies as st

from aiops_pipelines.resources.extractors.rst import rst


def test_rst_headings_by_order_of_appearance():
    text = b"=====\nGuide\n=====\n\nSetup\n-----\n\nSee :ref:`Use <use>` and ``pip``.\n\nUse\n---\n\nDeep\n~~~~\n\nEnd."
    assert rst(text).split("\n\n") == [
        "# Guide",
        "## Setup",
        "See Use and `pip`.",
        "## Use",
        "### Deep",
        "End.",
    ]


def test_rst_code_becomes_fences_and_directives_are_not_executed():
    text = b"Run it::\n\n    make\n\n    test\n\nThen\n\n.. code-block:: python\n\n    # no heading\n    x = 1\n\n.. include:: /etc/hosts\n"
    assert rst(text) == (
        "Run it:\n\n```\nmake\n\ntest\n```\n\nThen\n\n```python\n# no heading\nx = 1\n```\n\n.. include:: /etc/hosts"
    )


@given(
    st.lists(
        st.sampled_from(["Title", "=====", "-----", "", "  code", "Text::", ".. code:: x", "words here"]),
        max_size=12,
    )
)
def test_rst_loses_no_words(lines):
    text = rst("\n".join(lines).encode())
    assert [word for word in text.split() if word in ("Title", "code", "words", "here")] == [
        word for word in " ".join(lines).split() if word in ("Title", "code", "words", "here")
    ]
