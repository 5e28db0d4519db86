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


def test_notes_are_prose_and_what_no_reader_sees_is_left_out():
    text = b""".. _label:

.. A comment
   of two lines

Guide
=====

.. warning:: Never delete :ref:`the
   store <x>`.

   .. code-block:: sh

      ls

.. toctree::
   :maxdepth: 2

   install

.. math:: x = 1

.. |here| replace:: there
.. versionadded:: 2.0

.. list-table::

   * - one
"""
    assert rst(text).split("\n\n") == [
        "# Guide",
        "**Warning:** Never delete the\n   store.",
        "```sh\nls\n```",
        "```\nx = 1\n```",
        ".. |here| replace:: there\n.. versionadded:: 2.0",
        "   * - one",
    ]


def test_a_role_over_two_lines_opens_code_all_the_same():
    assert rst(b"See :ref:`x\ny` so::\n\n   code").endswith("\n\n```\ncode\n```")


def test_rst_of_two_blanks_and_code_that_holds_fences():
    text = b"..  note:: Mind it.\n\n..  code-block:: md\n\n    ```\n    a\n    ```\n\n..  [1] A footnote.\n\n..  Unseen."
    assert rst(text) == "**Note:** Mind it.\n\n````md\n```\na\n```\n````\n\n..  [1] A footnote."


def test_a_comment_may_begin_below_its_dots():
    text = b"..\n   Copyright.\n\n   Unseen.\n\nSeen.\n\n..\n\n   Quoted.\n\n- x\n\n  ..\n     Unseen.\n  y\n\n..\nAlso."
    assert rst(text) == "Seen.\n\n   Quoted.\n\n- x\n\n  y\n\nAlso."


def test_lists_of_contents_and_words_for_machines_are_nothing():
    text = b".. meta::\n   :description: x\n\nA\n===\n.. contents:: Here\n   :local:\n\n.. index:: x\n   single: y\n\nText."
    assert rst(text) == "# A\n\nText."


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
