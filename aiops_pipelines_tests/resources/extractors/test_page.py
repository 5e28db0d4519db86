from aiops_pipelines.resources.extractors.page import html


def test_structure_is_kept_and_what_is_not_content_dropped():
    page = b"""<html><head><title>Site</title><style>p {}</style></head><body><nav>Home</nav>
    <main><h1>Refunds &amp; <em>returns</em><a class="headerlink" href="#r">\xc2\xb6</a></h1><!-- note -->
    <p>Paid <b>within</b> five<br>days, see <a><code>pay()</code></a>.</p>
    <script>alert(1)</script><ul><li>one</li><li>two<ul><li>inner</li></ul></li></ul>
    <div class="highlight-python"><div class="highlight"><pre><span></span># run
  it</pre></div></div><table><tr><th>Plan</th><th>Days</th></tr><tr><td>Pro</td><td>5</td></tr></table></main>
    <footer>Imprint</footer></body></html>"""
    assert html(page) == "\n\n".join(
        [
            "# Refunds & returns",
            "Paid within five days, see `pay()`.",
            "- one",
            "- two\n\n  - inner",
            "```python\n# run\n  it\n```",
            "| Plan | Days |\n| Pro | 5 |",
        ]
    )


def test_lists_definitions_and_layout_tables():
    page = b"""<ol start="3"><li>three<pre><code class="language-sh">ls</code></pre></li><li>four</li></ol>
    <dl><dt>Term</dt><dd>What it means.</dd></dl><details><summary>More</summary>Inside.</details>
    <table><tr><td><p>left</p></td><td><pre>code</pre></td></tr></table>
    <table><caption>Plans</caption><tr><td>a</td></tr></table><span><p>odd</p></span>
    <img alt="How the parts fit"><img alt="logo">"""
    assert html(page).split("\n\n") == [
        "- three",
        "  ```sh\n  ls\n  ```",
        "- four",
        "**Term**",
        "What it means.",
        "**More**",
        "Inside.",
        "left",
        "```\ncode\n```",
        "Plans",
        "| a |",
        "odd",
        "How the parts fit",
    ]


def test_a_page_without_a_heading_takes_its_title():
    assert html(b"<title>Fees</title><p>None.</p>") == "# Fees\n\nNone."
    assert html(b"just words") == "just words"
