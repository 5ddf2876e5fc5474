/** The event list: a plain sentence for each event, newest at the bottom. It follows the run unless a person has scrolled up. */
import { attr, h, keepReachable, panel, pointing, setText, toggle } from "./dom.js";
import { describe, describeEviction, labels } from "./describe.js";
import { THEME } from "./theme.js";

const MAX_EVENTS = 250;

/** How many events back a new filter looks for rows. */
const MAX_SCAN = 20000;

const FAMILY = new Map(Object.entries(THEME.families).flatMap(([family, kinds]) => kinds.map((kind) => [kind, family])));

/** What an event is about. */
function cursorOf({ kind, tier, block, target, sequence, position, request }) {
  if (tier) return { tier, block: block ?? target };
  if (kind === "TokenAppended") return { sequence, token: position };
  return request ? { request } : null;
}

export function createEvents(store) {
  const view = panel("events", labels.events);
  const list = h("ol", { class: "pv-event-list", "aria-label": "Events, newest last" });
  let run = null;
  /** @type {Map<string, import("./run.js").Entry>} */
  const entries = new Map();
  const eventOf = (row) => run.read(entries.get(row.dataset.seq)).event;
  pointing(list, ".pv-event", store, { show() {}, hide() {} }, {
    cursorOf: (row) => cursorOf(eventOf(row)),
    textOf: () => "",
    open(row) {
      const event = eventOf(row);
      if (event.kind !== "BlockEvicted") return;
      if (row.children.length > 3) row.lastChild.remove();
      else row.append(h("p", { class: "pv-why" }, describeEviction(store.state, event, run.filled(event, Number(row.dataset.seq)))));
      attr(row, "aria-expanded", row.children.length > 3);
      row.scrollIntoView({ block: "nearest" });
    },
  });
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

  let next = 0;
  let isFollowing = true;
  list.addEventListener("scroll", () => {
    isFollowing = list.scrollHeight - list.scrollTop - list.clientHeight < 30;
  });
  const reset = () => {
    list.replaceChildren();
    entries.clear();
    next = 0;
  };

  function makeRow(entry) {
    const { event, where } = run.read(entry);
    entries.set(String(entry.seq), entry);
    return h("li", {
      class: `pv-event pv-family-${FAMILY.get(event.kind) ?? "other"}`, tabindex: "-1", "data-kind": event.kind, "data-seq": entry.seq,
      ...(event.kind === "BlockEvicted" ? { "aria-expanded": false, title: "Enter or click: why this block" } : {}),
    }, h("span", { class: "pv-step" }, String(entry.step)), h("span", { class: "pv-mark", "aria-hidden": "true" }), h("span", { class: "pv-sentence" }, describe(event, where)));
  }

  function draw(scene) {
    if (scene.run !== run) {
      run = scene.run;
      reset();
    }
    if (run.seq === next) return;
    const added = [];
    const from = Math.max(next, run.seq - MAX_SCAN);
    for (const entry of run.backwards(from)) {
      if (!off.has(FAMILY.get(entry.event[0]))) added.push(entry);
      if (added.length === MAX_EVENTS) break;
    }
    next = run.seq;
    list.append(...added.reverse().map(makeRow));
    while (list.children.length > MAX_EVENTS) {
      entries.delete(list.firstChild.dataset.seq);
      list.firstChild.remove();
    }
    keepReachable(list, ".pv-event");
    if (isFollowing) list.scrollTop = list.scrollHeight;
    setText(view.note, `${run.seq.toLocaleString("en")} so far`);
  }
  return { root: view.root, draw, hasCursor: false };
}
