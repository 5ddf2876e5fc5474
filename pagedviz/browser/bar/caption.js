/** One line that says what mattered most in the latest step. It is spoken only while the run stands still. */
import { attr, h, setText } from "../kit/dom.js";
import { describe } from "../words/describe.js";
import { SCHEMA } from "../run/schema.js";

/** Kinds from the most telling to the least; kinds not here are never the caption. */
const TELLING = SCHEMA.telling;

/** How many events back the caption looks. */
const REACH = 3000;

/** The latest step's most telling event. @returns {import("../run/run.js").Entry | null} */
export function tellingEntry(run, { seq, step } = run.state) {
  let best = null;
  let bestRank = TELLING.length;
  for (const entry of run.backwards(seq - REACH, seq)) {
    if (entry.step !== step) break;
    const rank = TELLING.indexOf(entry.event[0]);
    if (rank >= 0 && rank <= bestRank) [best, bestRank] = [entry, rank];
  }
  return best;
}

/** @param {HTMLElement} status stands before the caption */
export function createCaption(store, status) {
  const words = h("span", { class: "pv-sentence" });
  const step = h("b", {});
  const root = h("p", { class: "pv-caption", "data-testid": "caption" }, step, words);
  const line = h("div", { class: "pv-line" }, status, root);
  let shown = null;

  function draw({ run, state }) {
    attr(root, "aria-live", store.feed.status?.state === "running" ? "off" : "polite");
    if (!state || (shown?.[0] === run && shown[1] === state.seq)) return;
    shown = [run, state.seq];
    const entry = tellingEntry(run, state);
    setText(step, entry ? `Step ${entry.step}: ` : "");
    setText(words, entry ? describe(...Object.values(run.read(entry))) : "");
  }
  return { root: line, draw };
}
