/** Breakpoints of a live session: where the engine is to stop. The list and what stops are Python's; here they are asked for and shown. */
import { h, pushButton, setText } from "../kit/dom.js";
import { BEFORE, kindName } from "../words/kinds.js";
import { kindOptions } from "./kind_options.js";
import { pickOf } from "../live/store.js";
import { say } from "../words/vocabulary.js";

export function createBreaks(store) {
  /** What is selected, as a breakpoint can wait for it. */
  const touched = () => (store.state ? { block: pickOf(store.state, store.pinned), sequence: store.pinned } : {});
  const pinned = ["block", "sequence"].map((name) => h("option", { value: name }, say`the selected ${say(name)}`));
  const select = h("select", { class: "pv-select", "aria-label": "Stop the engine at", "data-testid": "break" },
    h("option", { value: "" }, "break on …"),
    h("optgroup", { label: "before a step that causes" }, ...BEFORE.map((kind) => h("option", { value: JSON.stringify({ before: kind }) }, kindName(kind)))),
    h("optgroup", { label: "whatever touches" }, ...pinned),
    h("optgroup", { label: "after a step with" }), ...kindOptions((kind) => JSON.stringify({ kind })));
  select.addEventListener("change", () => {
    const what = touched()[select.value];
    const { tier, block, sequence } = what ?? {};
    store.feed.send({ cmd: "break", ...(!what ? JSON.parse(select.value) : block === undefined ? { sequence } : { tier, block }) });
    select.value = "";
  });
  const chips = h("span", { class: "pv-breaks", role: "group", "aria-label": "Breakpoints" });
  const root = h("span", { class: "pv-tool" }, select, chips);
  let shown = "";

  function draw() {
    const { status } = store.feed;
    root.hidden = !status?.live || !status.breaks;
    const breaks = status?.breaks ?? [];
    for (const option of pinned) option.disabled = touched()[option.value]?.[option.value] === undefined;
    if (shown === (shown = JSON.stringify(breaks))) return;
    chips.replaceChildren(...breaks.map(({ id, text, enabled }) => pushButton({
      title: "Remove this breakpoint", "aria-label": `Remove the breakpoint: ${text}`, onclick: () => store.feed.send({ cmd: "unbreak", id }),
    }, `${text}${enabled ? "" : " (off)"} ×`)));
    setText(select.firstChild, breaks.length ? "and on …" : "break on …");
  }
  return { root, draw };
}
