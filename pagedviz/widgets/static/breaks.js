/** Breakpoints of a live session: where the engine is to stop. The list and what stops are Python's; here they are asked for and shown. */
import { attr, h, setText } from "./dom.js";
import { THEME } from "./theme.js";
import { say } from "./vocabulary.js";

/** What the engine can stop before, because a step can be planned without being run. */
export const BEFORE = ["BlockEvicted", "BlockCopied", "RequestPreempted", "SwappedOut", "SwappedIn"];

export function createBreaks(store) {
  const nameOf = (kind) => say(THEME.kinds[kind] ?? kind);
  const select = h("select", { class: "pv-select", "aria-label": "Stop the engine at", "data-testid": "break" },
    h("option", { value: "" }, "break on …"),
    h("optgroup", { label: "after a step with" }, ...Object.keys(THEME.kinds).map((kind) => h("option", { value: JSON.stringify({ kind }) }, nameOf(kind)))),
    h("optgroup", { label: "before a step that causes" }, ...BEFORE.map((kind) => h("option", { value: JSON.stringify({ before: kind }) }, nameOf(kind)))),
    h("optgroup", { label: "whatever touches" }, h("option", { value: "pinned" }, "what is selected")));
  const pinned = select.lastChild.lastChild;
  select.addEventListener("change", () => {
    const { tier = "device", block, sequence } = store.pinned ?? {};
    const what = select.value === "pinned" ? (block === undefined ? { sequence } : { tier, block }) : JSON.parse(select.value);
    select.value = "";
    store.feed.send({ cmd: "break", ...what });
  });
  const chips = h("span", { class: "pv-breaks", role: "group", "aria-label": "Breakpoints" });
  const root = h("span", { class: "pv-tool" }, select, chips);
  let shown = "";

  function draw() {
    const { status } = store.feed;
    root.hidden = !status?.live || !status.breaks;
    attr(pinned, "disabled", store.pinned?.block === undefined && store.pinned?.sequence === undefined ? "" : null);
    const breaks = status?.breaks ?? [];
    if (shown === (shown = JSON.stringify(breaks))) return;
    chips.replaceChildren(...breaks.map(({ id, text }) => h("button", {
      type: "button", class: "pv-button", title: "Remove this breakpoint", "aria-label": `Remove the breakpoint: ${text}`, onclick: () => store.feed.send({ cmd: "unbreak", id }),
    }, `${text} ×`)));
    setText(select.firstChild, breaks.length ? "and on …" : "break on …");
  }
  return { root, draw };
}
