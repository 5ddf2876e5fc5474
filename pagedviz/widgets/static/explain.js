/** Explain this step: what happened in the step that is looked at, and why, in plain sentences sorted by what they are about. */
import { h, panel, setText } from "./dom.js";
import { describe, letterOf, list, plural, range, reasonText, tierName, tokenText } from "./describe.js";
import { labels, say } from "./vocabulary.js";

const MAX_SENTENCES = 12;

/** Headings, and the kinds of events below each. */
const SECTIONS = {
  "Who came and who ran": ["RequestAdded", "RequestScheduled", "StepStarted"],
  "Who had to make room": ["RequestPreempted"],
  "What the cache knew": ["PrefixHit", "PrefixMissed", "PrefixCacheReset"],
  "What was given up": ["BlockEvicted"],
  "What moved between the tiers": ["SwappedOut", "SwappedIn"],
  "Which blocks were taken": ["BlockAllocated", "SequenceForked", "BlockCopied"],
  "What was written": ["TokenAppended", "BlockFilled"],
  "What ended": ["SequenceFinished", "RequestFinished", "SequenceDropped", "BlockReleased", "BlockCached"],
  "How long it took": ["StepFinished"],
};

const blocksText = (ids) => (ids.length > 1 ? say`blocks ${list(ids, 8)}` : say`block ${ids[0]}`);

/** Several events of a kind in one sentence: what they are put together by, and the sentence. */
const TOGETHER = {
  BlockAllocated: [
    (e) => `${e.sequence}/${e.reason}`,
    (events, { block_size: size }) => {
      const [first, last] = [events[0], events.at(-1)];
      return `${letterOf(first.sequence)} got ${blocksText(events.map(({ block }) => block))} for positions ${range(first.logical * size, (last.logical - first.logical + 1) * size)} (${reasonText(first.reason)}).`;
    },
  ],
  BlockReleased: [(e) => e.sequence, (events) => `${letterOf(events[0].sequence)} let go of ${blocksText(events.map(({ block }) => block))}.`],
  BlockCached: [(e) => e.tier, (events) => say`Nobody has ${blocksText(events.map(({ block }) => block))} of the ${tierName(events[0].tier)} now: the content stays in the cache.`],
  BlockFilled: [(e) => e.sequence, (events) => say`${letterOf(events[0].sequence)} filled ${blocksText(events.map(({ block }) => block))} to the last slot.`],
  TokenAppended: [() => "", (events) => `New tokens: ${list(events.map((e) => `${letterOf(e.sequence)} “${tokenText(e.text, e.token)}”`), 12)}.`],
};

/**
 * What happened in a step.
 * @returns {[string, string[]][]} headings with their sentences
 */
export function explain(run, step) {
  /** @type {Map<string, {event: object, where: object}[]>} */
  const byKind = new Map();
  for (const entry of run.eventsIn(step)) {
    const [kind] = entry.event;
    byKind.set(kind, [...(byKind.get(kind) ?? []), run.read(entry)]);
  }
  const sentencesOf = (kind) => {
    const found = byKind.get(kind) ?? [];
    if (!TOGETHER[kind]) return found.map(({ event, where }) => describe(event, where));
    const [keyOf, sentence] = TOGETHER[kind];
    const groups = new Map();
    for (const { event } of found) groups.set(keyOf(event), [...(groups.get(keyOf(event)) ?? []), event]);
    return [...groups.values()].map((events) => sentence(events, run.state));
  };
  return Object.entries(SECTIONS).map(([heading, kinds]) => [say(heading), kinds.flatMap(sentencesOf)]).filter(([, sentences]) => sentences.length);
}

export function createExplain(store) {
  const view = panel("explain", labels.explain, true);
  let shown = [];

  function draw({ run, state }) {
    if (shown[0] === run && shown[1] === state.seq) return;
    shown = [run, state.seq];
    const sections = explain(run, state.step);
    setText(view.note, `${labels.step} ${state.step.toLocaleString("en")}`);
    view.body.replaceChildren(...sections.map(([heading, sentences]) => h("section", {}, h("h4", {}, heading),
      h("ul", {}, ...sentences.slice(0, MAX_SENTENCES).map((text) => h("li", {}, text)),
        ...(sentences.length > MAX_SENTENCES ? [h("li", { class: "pv-more" }, `and ${plural(sentences.length - MAX_SENTENCES, "sentence")} more`)] : [])))));
    if (!sections.length) view.body.replaceChildren(h("p", { class: "pv-hint" }, "Nothing happened yet."));
  }
  return { root: view.root, draw, hasCursor: false };
}
