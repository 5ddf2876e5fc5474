"""The page of a run as text: what is in it, how large it is, and that nobody's words become HTML."""

import base64
import gzip
import hashlib
import html
import re
import subprocess
import sys
from html.parser import HTMLParser

import msgspec
import pytest

from pagedviz.browser.bundle import HOME, bundle, stylesheet
from pagedviz.browser.page import page
from pagedviz.errors import TraceFileError
from pagedviz.trace import Trace
from pagedviz.trace.file import pack

LIMIT = 150_000


class Parts(HTMLParser):
    """The elements of a page: (tag, attributes, text), as a parser finds them."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.found = []
        self.inside = None
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.inside = [tag, dict(attributes), ""]
        self.found.append(self.inside)

    def handle_endtag(self, tag):
        self.inside = None

    def handle_data(self, data):
        if self.inside:
            self.inside[2] += data

    def all(self, tag):
        return [(attributes, text) for name, attributes, text in self.found if name == tag]


@pytest.fixture(scope="module")
def trace(streams):
    return streams.trace_of(streams.random_run(11))


def named(trace, model):
    return Trace(msgspec.structs.replace(trace.info, model=model), trace.start, trace.batches)


def written(trace, tmp_path):
    path = tmp_path / "run.html"
    trace.to_html(path)
    assert list(tmp_path.iterdir()) == [path]
    return path.read_text(encoding="utf-8")


def embedded(parts):
    (data,) = [text for attributes, text in parts.all("script") if attributes.get("id") == "trace"]
    return gzip.decompress(base64.b64decode(data, validate=True))


def test_the_page_holds_the_trace_and_the_dashboard(trace, tmp_path):
    parts = Parts(written(trace, tmp_path))
    assert embedded(parts) == trace.to_bytes()
    kinds = [(attributes.get("type"), attributes.get("src")) for attributes, _ in parts.all("script")]
    assert kinds == [("application/gzip", None), ("module", None)]
    assert bundle() in parts.all("script")[1][1]
    assert stylesheet() in parts.all("style")[0][1]
    assert [text for _, text in parts.all("title")] == ["toy \u00b7 pagedviz"]
    assert parts.all("html")[0][0] == {"lang": "en"}
    assert [attributes["type"] for attributes, _ in parts.all("input")] == ["file"]


def test_the_page_is_small(trace, tmp_path):
    text = written(trace, tmp_path)
    data = base64.b64encode(gzip.compress(trace.to_bytes(), mtime=0))
    assert len(text.encode()) - len(data) < LIMIT


def test_equal_traces_are_equal_pages(trace, tmp_path):
    assert written(trace, tmp_path) == written(Trace.from_bytes(trace.to_bytes()), tmp_path)


def test_the_policy_admits_this_script_and_this_style_and_nothing_else(trace, tmp_path):
    text = written(trace, tmp_path)
    parts = Parts(text)
    metas = [attributes for attributes, _ in parts.all("meta")]
    (policy,) = [meta["content"] for meta in metas if meta.get("http-equiv") == "Content-Security-Policy"]
    rules = dict(rule.split(" ", 1) for rule in policy.split("; "))
    hashes = {}
    for tag in ('script type="module"', "style"):
        inner = re.search(f"<{tag}>(.*?)</{tag.split()[0]}>", text, re.DOTALL).group(1)
        hashes[tag.split()[0]] = base64.b64encode(hashlib.sha256(inner.encode()).digest()).decode()
    assert rules == {
        "default-src": "'none'",
        "script-src": f"'sha256-{hashes['script']}'",
        "style-src": f"'sha256-{hashes['style']}'",
        "img-src": "data:",
        "base-uri": "'none'",
        "form-action": "'none'",
        "require-trusted-types-for": "'script'",
        "trusted-types": "'none'",
    }
    assert text.index("Content-Security-Policy") < text.index("<style>") < text.index("<script")


def test_nothing_in_the_page_is_fetched(trace, tmp_path):
    text = written(trace, tmp_path).replace("http://www.w3.org/2000/svg", "")
    assert not re.search(r"https?://|@import|url\(", text)
    assert not re.search(r"\bimport\b\s*[{\"(*]", text)


def test_no_script_can_end_its_element_early():
    for text in (bundle(), (HOME / "html" / "page.js").read_text(encoding="utf-8")):
        assert not re.search(r"</script|<!--", text, re.IGNORECASE)
    assert "</style" not in stylesheet() + (HOME / "html" / "page.css").read_text(encoding="utf-8")


NASTY = [
    "</script><b>bold</b><script>alert(1)</script>",
    "</title><img src=x onerror=alert(1)>",
    '"><svg onload=alert(1)>',
    "<!--",
    "&lt;b&gt; &amp;",
    "$title ${script} $$",
    "\x00\x07\x1b]0;owned\x07\r\n",
    "\u202eevil\u202c",
    "\u05e9\u05dc\u05d5\u05dd \u0645\u0631\u062d\u0628\u0627",
    "\U0001f468\u200d\U0001f469\u200d\U0001f467 \U0001f642",
    "\u2028\u2029",
    "m" * 5_000_000,
]


@pytest.mark.parametrize("model", NASTY, ids=range(len(NASTY)))
def test_a_models_name_is_text(trace, tmp_path, model):
    text = written(named(trace, model), tmp_path)
    parts = Parts(text)
    plain = Parts(written(trace, tmp_path))
    assert [name for name, _, _ in parts.found] == [name for name, _, _ in plain.found]
    (title,) = [title for _, title in parts.all("title")]
    assert len(title) < 120
    assert all(c.isprintable() or c == "\u200d" for c in title)
    if len(model) < 60 and model.replace("\u200d", "").isprintable():
        assert title == f"{model} \u00b7 pagedviz"
    assert Trace.from_bytes(embedded(parts)).info.model == model


def test_texts_of_tokens_are_in_the_trace_only(trace, tmp_path):
    text = written(trace, tmp_path)
    assert "<b>&" not in re.sub(r"<script.*?</script>", "", text, flags=re.DOTALL)


def test_a_message_is_text_too(trace):
    text = page(pack(trace.to_bytes()), "toy", 'line 3 is damaged: "</script><b>\x07').decode()
    (attributes,) = [a for a, _ in Parts(text).all("script") if a.get("id") == "trace"]
    assert attributes["data-message"] == 'line 3 is damaged: "</script><b>\ufffd'
    assert html.escape('"</script><b>') in text


def test_a_page_that_cannot_be_written_is_named(trace, tmp_path):
    for path in (tmp_path / "nowhere" / "run.html", tmp_path):
        with pytest.raises(TraceFileError, match="cannot write the page") as caught:
            trace.to_html(path)
        assert str(path) in str(caught.value)


def test_writing_over_a_page_replaces_it_whole(trace, tmp_path, monkeypatch):
    path = tmp_path / "run.html"
    path.write_bytes(b"before")
    monkeypatch.setattr("pathlib.Path.replace", lambda *_: (_ for _ in ()).throw(OSError(28, "disk full")))
    with pytest.raises(TraceFileError, match="disk full"):
        trace.to_html(path)
    assert path.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [path]


def test_a_page_is_a_page_whatever_its_name(trace, tmp_path):
    trace.to_html(tmp_path / "run.html.gz")
    assert (tmp_path / "run.html.gz").read_bytes().startswith(b"<!doctype html>")


def test_a_page_is_written_without_anywidget_and_torch(golden, tmp_path):
    code = (
        "import sys, pagedviz as pv\n"
        f"pv.Trace.load({str(golden / 'tiny_run.pvtrace')!r}).to_html({str(tmp_path / 'run.html')!r})\n"
        "print(*sorted({'torch', 'anywidget', 'ipywidgets', 'IPython', 'plotly'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == ""
