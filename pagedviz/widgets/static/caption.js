/** One line that says what mattered most in the latest step. It is spoken only while the run stands still. */
import { attr, h, setText } from "./dom.js";
import { describe } from "./describe.js";

/** Kinds from the most telling to the least; kinds not here are never the caption. */
const TELLING = [
  "RequestPreempted", "BlockCopied", "SwappedIn", "SwappedOut", "BlockEvicted", "PrefixHit", "PrefixCacheReset", "SequenceForked",
  "RequestFinished", "SequenceFinished", "RequestAdded", "RequestScheduled", "BlockShared", "BlockAllocated", "BlockFreed", "BlockFilled", "TokenAppended", "StepFinished",
];

/** How many events back the caption looks. */
const REACH = 3000;

/** The latest step's most telling event. @returns {import("./run.js").Entry | null} */
export function tellingEntry(run) {
  let best = null;
  let bestRank = TELLING.length;
  for (const entry of run.backwards(run.seq - REACH)) {
    if (entry.step !== run.state.step) break;
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
  let shown = -1;

  function draw({ run, state }) {
    attr(root, "aria-live", store.feed.status?.state === "running" ? "off" : "polite");
    if (!state || shown === run.seq) return;
    shown = run.seq;
    const entry = tellingEntry(run);
    setText(step, entry ? `Step ${entry.step}: ` : "");
    setText(words, entry ? describe(...Object.values(run.read(entry))) : "");
  }
  return { root: line, draw };
}
