from hypothesis import given
from hypothesis import strategies as st

from aiops_pipelines.resources.extractors.rst import rst


def test_headings_by_order_of_appearance():
    text = b"=====\nGuide\n=====\n\nSetup\n-----\n\nSee :ref:`Use <use>` and ``pip``.\n\nUse\n---\n\nDeep\n~~~~\n\nEnd."
    assert rst(text).split("\n\n") == [
        "# Guide",
        "## Setup",
        "See Use and `pip`.",
        "## Use",
        "### Deep",
        "End.",
    ]


def test_code_becomes_fences_and_directives_are_not_carried_out():
    text = b"""Run it::

    make

    test

Then

.. code-block:: python
   :linenos:
   :caption: run.py

   # no heading
   x = 1

.. include:: /etc/hosts
.. literalinclude:: /etc/passwd
.. raw:: html
   :file: /etc/shadow

>>> 1 + 1
2

End."""
    assert rst(text) == (
        "Run it:\n\n```\nmake\n\ntest\n```\n\nThen\n\nrun.py\n\n```python\n# no heading\nx = 1\n```\n\n"
        "```python\n>>> 1 + 1\n2\n```\n\nEnd."
    )


def test_lists_keep_their_nesting_and_numbers():
    text = b"""* one
  goes on

  second paragraph

  - inner::

      code

* two

#. first
#. second
3. third"""
    assert rst(text) == (
        "- one\n  goes on\n\n  second paragraph\n\n  - inner:\n\n    ```\n    code\n    ```\n- two\n"
        "1. first\n1. second\n3. third"
    )


def test_remarks_definitions_and_described_objects():
    text = b"""term
    What it means.

    More.

.. note:: Mind the gap,
   twice.

.. seealso::

   Elsewhere.

.. versionadded:: 3.1
.. deprecated:: 4.0 Use that.

.. admonition:: Think

   Twice.

.. function:: cut(text, size)
   :noindex:

   Cut it.

   :param size: how long
"""
    assert rst(text).split("\n\n") == [
        "**term**",
        "What it means.",
        "More.",
        "**Note:** Mind the gap,\ntwice.",
        "**See also:** Elsewhere.",
        "**Added in 3.1**",
        "**Deprecated since 4.0:** Use that.",
        "**Think**",
        "Twice.",
        "`cut(text, size)`",
        "Cut it.",
        "param size: how long",
    ]


def test_tables_of_each_kind():
    grid = b"""+------+-------+
| Plan | Days  |
+======+=======+
| Pro  | five  |
|      | or so |
+------+-------+
"""
    simple = b"""====  =====
Plan  Days
====  =====
Pro   ``5``
      six
====  =====
"""
    listed = b""".. list-table:: Plans
   :header-rows: 1

   * - Plan
     - Days
   * - Pro
     - five
       or so
"""
    separated = b'.. csv-table::\n\n   Plan, Days\n   "Pro, old", 5\n'
    assert rst(grid) == "| Plan | Days |\n| Pro | five or so |"
    assert rst(simple) == "| Plan | Days |\n| Pro | `5` six |"
    assert rst(listed) == "**Plans**\n\n| Plan | Days |\n| Pro | five or so |"
    assert rst(separated) == "| Plan | Days |\n| Pro, old | 5 |"


def test_inline_marks_are_read_and_literals_left_alone():
    text = b"""See :class:`~a.B`, :func:`!run`, :pep:`8`, `the site <https://x.example/a>`_ and `Section`_.
Keep ``:not:`role` `` and \\*stars\\*; |name| is new.

.. |name| replace:: Aiops
.. _target:
.. a comment
   over two lines
.. [1] A footnote."""
    assert rst(text) == (
        "See a.B, run, PEP 8, [the site](https://x.example/a) and Section.\n"
        "Keep `:not:`role`` and *stars*; Aiops is new.\n\n[1] A footnote."
    )


@given(
    st.lists(
        st.sampled_from(
            ["Title", "=====", "-----", "", "  code", "Text::", ".. code:: x", "words here", "* words"]
        ),
        max_size=12,
    )
)
def test_no_words_are_lost(lines):
    text = rst("\n".join(lines).encode())
    assert [word for word in text.replace("*", "").split() if word in ("Title", "code", "words", "here")] == [
        word for word in " ".join(lines).split() if word in ("Title", "code", "words", "here")
    ]


@given(st.text(alphabet="ab .:*-=+|`_\n\\<>()#1[]", max_size=80))
def test_any_text_is_read(text):
    rst(text.encode())
