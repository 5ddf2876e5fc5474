/** The event list: a plain sentence for each event, newest at the bottom. It follows the run unless a person has scrolled up. */
import { h, panel, setText, toggle } from "./dom.js";
import { describe } from "./describe.js";
import { THEME } from "./theme.js";

const MAX_EVENTS = 250;

/** How many events back a new filter looks for rows. */
const MAX_SCAN = 20000;

const FAMILY = new Map(Object.entries(THEME.families).flatMap(([family, kinds]) => kinds.map((kind) => [kind, family])));

export function createEvents(store) {
  const view = panel("events", THEME.labels.events);
  const list = h("ol", { class: "pv-event-list", tabindex: "0", "aria-label": "Events, newest last" });
  view.body.append(list);
  const off = new Set(["engine"]);
  const filters = Object.keys(THEME.families).map((family) =>
    toggle(family, !off.has(family), (isOn) => {
      if (isOn) off.delete(family);
      else off.add(family);
      reset();
      store.touch();
    }, { "data-family": family }));
  view.head.append(h("span", { class: "pv-tool", role: "group", "aria-label": "Events shown" }, ...filters));

  let run = null;
  let next = 0;
  let isFollowing = true;
  list.addEventListener("scroll", () => {
    isFollowing = list.scrollHeight - list.scrollTop - list.clientHeight < 30;
  });
  const reset = () => {
    list.replaceChildren();
    next = 0;
  };

  function makeRow(entry) {
    const { event, where } = run.read(entry);
    const row = h("li", { class: `pv-event pv-family-${FAMILY.get(event.kind) ?? "other"}`, "data-kind": event.kind, "data-seq": entry.seq },
      h("span", { class: "pv-step" }, String(entry.step)), h("span", { class: "pv-mark", "aria-hidden": "true" }), h("span", { class: "pv-sentence" }, describe(event, where)));
    return row;
  }

  function draw(scene) {
    if (scene.run !== run) {
      run = scene.run;
      reset();
    }
    if (run.seq === next) return;
    const entries = [];
    const from = Math.max(next, run.seq - MAX_SCAN);
    for (const entry of run.backwards(from)) {
      if (!off.has(FAMILY.get(entry.event[0]))) entries.push(entry);
      if (entries.length === MAX_EVENTS) break;
    }
    next = run.seq;
    list.append(...entries.reverse().map(makeRow));
    while (list.children.length > MAX_EVENTS) list.firstChild.remove();
    if (isFollowing) list.scrollTop = list.scrollHeight;
    setText(view.note, `${run.seq.toLocaleString("en")} so far`);
  }
  return { root: view.root, draw, hasCursor: false };
}
