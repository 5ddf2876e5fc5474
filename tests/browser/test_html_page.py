"""The page of a recorded run, opened from disk in Chromium without network: what it draws, takes and refuses."""

from __future__ import annotations

import base64
import gzip
from pathlib import Path

import msgspec
import pytest

from pagedviz.browser.page import page as page_of
from pagedviz.events import Batch, BlockFreed
from pagedviz.events.codec import encode_batch
from pagedviz.trace import Trace
from pagedviz.trace.file import pack

FRAMES = "new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"
DROP = """([name, data, type]) => {
    const bytes = Uint8Array.from(atob(data), (c) => c.charCodeAt(0));
    const transfer = new DataTransfer();
    if (type === "file") transfer.items.add(new File([bytes], name));
    else transfer.setData("text/plain", name);
    const event = (kind) => new DragEvent(kind, {dataTransfer: transfer, bubbles: true, cancelable: true});
    const over = event("dragover");
    document.body.dispatchEvent(over);
    const isMarked = document.body.hasAttribute("data-over");
    document.body.dispatchEvent(event("drop"));
    return [over.defaultPrevented, isMarked, document.body.hasAttribute("data-over")];
}"""
HEADER, KEYFRAME, ADDED = (
    (Path(__file__).parent.parent / "golden" / "tiny_run.pvtrace").read_bytes().splitlines(keepends=True)[:3]
)
NASTY = "</script><b>\u202e\U0001f642\x07<img src=x onerror=alert(1)>"


class OnDisk:
    """A page in a browser that has no network. What it asks for, says and fails at is kept.

    The page forbids ``eval``, with which Playwright's ``wait_for_function`` looks a second time.
    """

    def __init__(self, browser, path: Path, scheme: str = "light") -> None:
        self.context = browser.new_context(
            offline=True, color_scheme=scheme, viewport={"width": 1280, "height": 900}
        )
        self.page = self.context.new_page()
        self.page.set_default_timeout(20_000)
        self.requests: list[str] = []
        self.problems: list[str] = []
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("console", lambda message: self.problems.append(message.text))
        self.page.on("pageerror", lambda error: self.problems.append(str(error)))
        self.page.on("dialog", lambda dialog: self.problems.append(dialog.message))
        self.url = path.as_uri()
        self.page.goto(self.url)

    def root(self, name: str) -> str | None:
        return self.page.get_attribute(".pagedviz", f"data-{name}")

    def wait_for_step(self, step: int) -> None:
        self.page.wait_for_selector(f".pagedviz[data-step='{step}']")
        self.page.evaluate(FRAMES)
        self.page.wait_for_selector(".pagedviz:not([data-drawing])")

    def message(self) -> str:
        return self.page.inner_text("#message")

    def drop(self, name: str, data: bytes, kind: str = "file") -> list[bool]:
        return self.page.evaluate(DROP, [name, base64.b64encode(data).decode(), kind])

    def wait_for_message(self, words: str) -> None:
        self.page.locator("#message").filter(has_text=words).wait_for()

    def wait_for_status(self, text: str) -> None:
        self.page.get_by_test_id("status").filter(has_text=text).wait_for()

    def drawn(self) -> int:
        """How many colours the block map has."""
        return self.page.evaluate(
            """() => {
                const canvas = document.querySelector("canvas.pv-map");
                const {data} = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
                return new Set(new Uint32Array(data.buffer)).size;
            }"""
        )


@pytest.fixture
def on_disk(browser):
    """Opens pages from disk; at the end none has asked for anything, or had an error."""
    opened = []

    def make(path, **options):
        opened.append(OnDisk(browser, path, **options))
        return opened[-1]

    yield make
    for one in opened:
        one.context.close()
        assert one.problems == []
        assert set(one.requests) <= {one.url, "data:,"}


@pytest.fixture(scope="module")
def trace(golden):
    return Trace.load(golden / "tiny_run.pvtrace")


@pytest.fixture(scope="module")
def other(streams):
    return streams.trace_of(streams.random_run(5, steps=30))


@pytest.fixture
def shown(on_disk, trace, tmp_path):
    trace.to_html(tmp_path / "run.html")
    one = on_disk(tmp_path / "run.html")
    one.wait_for_step(trace.last_step)
    return one


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_draws_the_run(on_disk, trace, tmp_path, scheme):
    trace.to_html(tmp_path / "run.html")
    one = on_disk(tmp_path / "run.html", scheme=scheme)
    one.wait_for_step(trace.last_step)
    assert one.root("state") == "finished"
    assert one.root("theme") == scheme
    assert one.root("next-seq") == str(trace.start.seq + trace.num_events)
    assert one.page.title() == "toy \u00b7 pagedviz"
    assert one.page.inner_text(".pv-model") == "toy"
    assert one.page.inner_text("[data-testid=status]") == "recorded run"
    assert not one.page.is_visible("[data-testid=pause]")
    assert one.drawn() > 1
    assert one.message() == ""
    ground, ink = one.page.evaluate(
        "() => [getComputedStyle(document.body).backgroundColor, getComputedStyle(document.body).color]"
    )
    assert (ground == "rgb(255, 255, 255)") == (scheme == "light")
    assert ground != ink


def test_the_theme_follows_the_browsers(shown):
    shown.page.emulate_media(color_scheme="dark")
    shown.page.wait_for_selector(".pagedviz[data-theme=dark]")
    shown.page.emulate_media(color_scheme="light")
    shown.page.wait_for_selector(".pagedviz[data-theme=light]")


def test_the_keys_work_at_once(shown, trace):
    shown.page.keyboard.press("ArrowLeft")
    shown.wait_for_step(trace.last_step - 1)
    shown.page.keyboard.press("Home")
    shown.wait_for_step(trace.first_step)


@pytest.mark.parametrize("packed", [False, True])
def test_a_dropped_trace_takes_the_place_of_the_run(shown, other, packed):
    data = gzip.compress(other.to_bytes()) if packed else other.to_bytes()
    assert shown.drop("other run.pvtrace", data) == [True, True, False]
    shown.wait_for_step(other.last_step)
    assert shown.root("next-seq") == str(other.num_events)
    assert shown.message() == "This is other run.pvtrace."
    assert shown.page.locator(".pagedviz").count() == 1


def test_a_dropped_trace_may_not_say_of_what_it_is(shown, other):
    nameless = msgspec.structs.replace(other.info, model=None, device=None)
    shown.drop("other run.pvtrace", Trace(nameless, other.start, other.batches).to_bytes())
    shown.wait_for_step(other.last_step)
    assert shown.page.title() == "unknown model \u00b7 pagedviz"
    assert shown.page.inner_text(".pv-model") == "unknown model"


def test_a_trace_can_be_chosen_with_the_keyboard(shown, trace, other, tmp_path):
    other.save(tmp_path / "other.pvtrace")
    shown.page.keyboard.press("Tab")
    assert shown.page.evaluate("document.activeElement.id") == "file"
    assert shown.page.get_by_label("choose a file").count() == 1
    # Playwright tells the browser without waiting: say it once more and wait, or the real dialogue opens.
    shown.page.on("filechooser", lambda _: None)
    devtools = shown.page.context.new_cdp_session(shown.page)
    devtools.send("Page.setInterceptFileChooserDialog", {"enabled": True})
    with shown.page.expect_file_chooser() as chosen:
        shown.page.keyboard.press("Enter")
    chosen.value.set_files(tmp_path / "other.pvtrace")
    shown.wait_for_step(other.last_step)
    trace.save(tmp_path / "again.pvtrace", compress=False)
    shown.page.set_input_files("#file", tmp_path / "again.pvtrace")
    shown.wait_for_step(trace.last_step)
    shown.page.set_input_files("#file", tmp_path / "again.pvtrace")
    shown.wait_for_message("This is again.pvtrace.")


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "the file is empty"),
        (b"hello\nworld\n", "not a pagedviz trace: line 1 is damaged"),
        (b'{"a":1}\n', "not a pagedviz trace: line 1 is no header"),
        (b"\x89PNG\r\n\x1a\n\x00\x00", "not a pagedviz trace: "),
        (gzip.compress(b"hello\n", mtime=0), "not a pagedviz trace: line 1 is damaged"),
        (b"\x1f\x8bnonsense", "gzip stream is damaged or cut off"),
        (b'{"format":"pagedviz-trace","version":99}\n', "version 99; this pagedviz reads 1 to 3: update pagedviz"),
        (
            b'{"format":"pagedviz-trace","version":2,"fields":{},"engine":{}}\n',
            "$.engine.block_size cannot be undefined",
        ),
        (HEADER, "cut off before its first state"),
        (HEADER + b'{"keyframe":7}\n', "line 2 is damaged: $.keyframe cannot be 7"),
        (
            HEADER + KEYFRAME.replace(b'"sequences":{}', b'"sequences":{"0":{}}'),
            "line 2 is damaged: $.keyframe.sequences.0.id cannot be undefined",
        ),
        (
            HEADER
            + KEYFRAME.replace(b'"blocks":{}', b'"blocks":{"device":{"99":{"group":0,"holders":[],"born":1}}}'),
            "the keyframe in line 2 contradicts itself: block 99 is outside the device pool of 8",
        ),
    ],
)
def test_a_file_that_is_no_trace_is_refused_and_the_run_stays(shown, trace, data, words):
    shown.drop("notes <b>.txt", data)
    shown.wait_for_message(words)
    assert shown.message().startswith("notes <b>.txt cannot be shown: ")
    assert shown.page.get_attribute("#message", "data-wrong") == ""
    assert shown.page.get_attribute("#message", "role") == "status"
    assert shown.root("step") == str(trace.last_step)
    assert shown.drawn() > 1
    shown.drop("run.pvtrace", trace.to_bytes())
    shown.wait_for_message("This is run.pvtrace.")
    assert shown.page.get_attribute("#message", "data-wrong") is None


def test_a_gzip_bomb_is_refused(shown, trace):
    # DecompressionStream reads one stream, so this one has to be large itself: 300 MB of zeros in 300 kB.
    shown.drop("bomb.pvtrace.gz", gzip.compress(bytes(300_000_000), 1))
    shown.wait_for_message("no trace does that")
    assert shown.root("step") == str(trace.last_step)


def test_of_a_cut_off_file_what_is_there_is_shown(shown, other):
    data = other.to_bytes()
    shown.drop("cut.pvtrace", data[: len(data) * 2 // 3])
    shown.wait_for_message("This is cut.pvtrace.")
    shown.wait_for_status("the trace is cut off in its last line")
    assert 0 < int(shown.root("next-seq")) < other.num_events
    packed = gzip.compress(data)
    shown.drop("cut.gz", packed[: len(packed) * 2 // 3])
    shown.wait_for_message("This is cut.gz.")
    shown.wait_for_status("the gzip stream is damaged or cut off")
    assert 0 < int(shown.root("next-seq")) < other.num_events


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (b"oops\n", "line 10 is damaged"),
        (b"", "line 10 begins with event 67; 59 was expected"),
        (None, "line 10 is damaged: event 59 in step 7 contradicts what came before"),
    ],
)
def test_of_a_damaged_file_what_is_sound_is_shown(shown, trace, line, words):
    lines = trace.to_bytes().splitlines(keepends=True)
    batch = trace.batches[7]
    if line is None:
        line = encode_batch(
            Batch(batch.seq, batch.step, batch.t_us, (BlockFreed("device", 0, 5), *batch.events[1:]))
        )
    shown.drop("damaged.pvtrace", b"".join([*lines[:9], line, *lines[10:]]))
    shown.wait_for_message("This is damaged.pvtrace.")
    shown.wait_for_step(trace.batches[6].step)
    assert shown.root("next-seq") == str(batch.seq)
    assert words in shown.page.inner_text("[data-testid=status]")


@pytest.mark.parametrize(
    ("was", "junk", "words"),
    [
        (b'[" the","<b>&",', b'[1,"<b>&",', "RequestAdded has a wrong texts: [1,"),
        (b"[31524,43219,37657,38412,20303],", b'"junk",', 'RequestAdded has a wrong prompt: "junk"'),
        (b'"r1"', b"[]", "RequestAdded has a wrong request: []"),
        (b'["RequestAdded","r1"', b'["constructor","r1"', 'unknown kind of event: ["constructor","r1"'),
    ],
)
def test_junk_in_a_file_is_named_and_not_shown(shown, was, junk, words):
    assert was in ADDED
    shown.drop("junk.pvtrace", HEADER + KEYFRAME + ADDED.replace(was, junk))
    shown.wait_for_message("This is junk.pvtrace.")
    shown.wait_for_step(0)
    assert f": line 3 is damaged: {words}" in shown.page.inner_text("[data-testid=status]")
    assert shown.root("next-seq") == "0"


def test_dragged_text_is_left_alone(shown):
    assert shown.drop("some words", b"", "text") == [False, False, False]
    assert shown.message() == ""


def test_texts_of_models_stay_texts(on_disk, trace, tmp_path):
    named = Trace(msgspec.structs.replace(trace.info, model=NASTY), trace.start, trace.batches)
    named.to_html(tmp_path / "run.html")
    one = on_disk(tmp_path / "run.html")
    one.wait_for_step(trace.last_step)
    assert one.page.title().startswith("</script><b>")
    assert one.page.inner_text(".pv-model").startswith("</script><b>")
    assert one.page.locator("img").count() == 0
    one.drop("nasty.pvtrace", named.to_bytes())
    one.wait_for_message("This is nasty")
    assert one.page.locator("img").count() == 0
    assert one.page.title().startswith("</script><b>")


def test_a_message_is_shown_beside_the_run(on_disk, trace, tmp_path):
    (tmp_path / "run.html").write_bytes(page_of(pack(trace.to_bytes()), "toy", "line 9 is damaged: <b>x</b>"))
    one = on_disk(tmp_path / "run.html")
    one.wait_for_step(trace.last_step)
    assert one.page.inner_text("[data-testid=status]") == "line 9 is damaged: <b>x</b>"


def test_the_policy_holds(on_disk, trace, tmp_path):
    trace.to_html(tmp_path / "run.html")
    one = on_disk(tmp_path / "run.html")
    one.wait_for_step(trace.last_step)
    refused = one.page.evaluate(
        """async () => {
            const tries = {
                fetch: () => fetch("https://example.org/"),
                image: () => new Promise((done, fail) => {
                    const image = new Image();
                    Object.assign(image, {onload: done, onerror: fail, src: "https://example.org/x.png"});
                }),
                html: () => { document.body.innerHTML += "<b>x</b>"; },
                eval: () => (0, eval)("1"),
                inline: () => {
                    const script = document.createElement("script");
                    script.append("window.owned = 1");
                    document.body.append(script);
                    if (!window.owned) throw new Error("refused");
                },
            };
            const refused = [];
            for (const [name, attempt] of Object.entries(tries)) {
                try { await attempt(); } catch { refused.push(name); }
            }
            return refused;
        }"""
    )
    assert refused == ["fetch", "image", "html", "eval", "inline"]
    one.problems.clear()  # the browser tells of each
    one.requests = [url for url in one.requests if url == one.url]


def test_a_long_run_is_opened(on_disk, streams, tmp_path):
    long = streams.trace_of(streams.random_run(2, steps=1500))
    assert len(long.to_bytes()) > 1_000_000
    long.to_html(tmp_path / "run.html")
    one = on_disk(tmp_path / "run.html")
    one.wait_for_step(long.last_step)
    assert one.root("next-seq") == str(long.num_events)
