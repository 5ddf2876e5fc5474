/**
 * The event list: a plain sentence for each event up to the step that is looked at, newest at the bottom. Choosing one goes to its
 * step. It follows the run unless a person has scrolled up.
 */
import { attr, h, setText, toggle } from "../../kit/dom.js";
import { describe, describeEviction, number } from "../../words/describe.js";
import { keepReachable, pointing } from "../../kit/items.js";
import { FAMILIES, cursorOf, familyOf, matcherOf } from "../../words/kinds.js";
import { say } from "../../words/vocabulary.js";

const MAX_EVENTS = 250;

/** Rows that are made at once after a jump; those above them follow. */
const MAX_SEEN = 40;

/** How many events back a new filter looks for rows. */
const MAX_SCAN = 20000;

export function create(view, store) {
  const list = h("ol", { class: "pv-event-list", "aria-label": "Events, newest last" });
  let run = null;
  /** @type {Map<string, import("../../run/run.js").Entry>} */
  const entries = new Map();
  const eventOf = (row) => run.read(entries.get(row.dataset.seq)).event;
  pointing(list, ".pv-event", store, { show() {}, hide() {} }, {
    cursorOf: (row) => cursorOf(eventOf(row)),
    textOf: () => "",
    open(row) {
      const event = eventOf(row);
      store.go(entries.get(row.dataset.seq).step);
      if (event.kind !== "BlockEvicted") return;
      if (row.children.length > 3) row.lastChild.remove();
      else row.append(h("p", { class: "pv-why" }, describeEviction(store.state, event, run.filled(event, Number(row.dataset.seq)))));
      attr(row, "aria-expanded", row.children.length > 3);
      row.scrollIntoView({ block: "nearest" });
    },
  });
  const none = h("p", { class: "pv-hint" });
  view.body.append(none, list);
  const off = new Set(["engine"]);
  const filters = FAMILIES.map(([family]) =>
    toggle(say(family), !off.has(family), (isOn) => {
      if (isOn) off.delete(family);
      else off.add(family);
      reset();
      store.touch();
    }, { "data-family": family }));
  const search = h("input", {
    type: "search", class: "pv-select", placeholder: say`kind, block ${17}, B …`, "aria-label": "Events whose kind or sentence has", "data-testid": "event-filter",
    oninput: () => {
      reset();
      store.touch();
    },
  });
  view.head.append(search, h("span", { class: "pv-tool", role: "group", "aria-label": "Events shown" }, ...filters));

  let next = 0;
  let isFollowing = true;
  /** Whether the list has all the rows that it can have. */
  let isWhole = false;
  list.addEventListener("scroll", () => {
    isFollowing = list.scrollHeight - list.scrollTop - list.clientHeight < 30;
  });
  const reset = () => {
    clear();
    next = 0;
  };
  const clear = () => {
    list.replaceChildren();
    entries.clear();
    isWhole = false;
  };

  function isWanted(entry, matches) {
    if (off.has(familyOf(entry.event[0]))) return false;
    if (!matches) return true;
    const { event, where } = run.read(entry);
    return matches(event, () => describe(event, where));
  }

  function makeRow(entry) {
    const { event, where } = run.read(entry);
    entries.set(String(entry.seq), entry);
    return h("li", {
      class: `pv-event pv-family-${familyOf(event.kind)}`, tabindex: "-1", "data-kind": event.kind, "data-seq": entry.seq,
      ...(event.kind === "BlockEvicted" ? { "aria-expanded": false, title: say("Enter or click: why this block") } : {}),
    }, h("span", { class: "pv-step" }, String(entry.step)), h("span", { class: "pv-mark", "aria-hidden": "true" }), h("span", { class: "pv-sentence" }, describe(event, where)));
  }

  /** The last wanted events from before number `to` down to number `from`, as rows in order. */
  function rowsBetween(from, to, most) {
    const found = [];
    const words = search.value.trim();
    const matches = words && matcherOf(words);
    for (const entry of run.backwards(Math.max(from, to - MAX_SCAN), to)) {
      if (found.length === most) break;
      if (isWanted(entry, matches)) found.push(entry);
    }
    return found.reverse().map(makeRow);
  }

  const first = () => Number(list.firstChild?.dataset.seq ?? next);
  const drop = (row) => {
    entries.delete(row.dataset.seq);
    row.remove();
  };

  function draw(scene) {
    const { seq } = scene.state;
    if (scene.run !== run) {
      run = scene.run;
      reset();
    }
    if (seq === next) return;
    if (seq <= first() || seq > next + MAX_EVENTS) {
      clear();
      list.append(...rowsBetween(0, seq, MAX_SEEN));
    } else if (seq > next) list.append(...rowsBetween(next, seq, MAX_EVENTS));
    else {
      // Rows stay where they are, for the eye and for the keyboard; older ones come before them.
      while (Number(list.lastChild.dataset.seq) >= seq) drop(list.lastChild);
      isWhole = false;
    }
    next = seq;
    while (list.children.length > MAX_EVENTS) drop(list.firstChild);
    none.hidden = list.children.length > 0;
    setText(none, seq ? `None of the last ${number(Math.min(seq, MAX_SCAN))} events is wanted.` : "Nothing happened yet.");
    keepReachable(list, ".pv-event");
    count();
  }
  function count() {
    const isFiltered = search.value.trim() !== "" || off.size !== 1 || !off.has("engine");
    setText(view.note, `${isFiltered ? `${list.children.length} shown, ` : ""}${number(next)}${store.isLive ? " so far" : ` of ${number(run.seq)}`}`);
  }
  function fill() {
    if (!isWhole) list.prepend(...rowsBetween(0, first(), MAX_EVENTS - list.children.length));
    isWhole = true;
    count();
  }
  const settle = () => {
    if (isFollowing || !store.isLive) list.scrollTop = list.scrollHeight;
  };
  return { draw, fill, settle, hasCursor: false };
}
