/** Explain this step: what happened in the step that is looked at, and why, in plain sentences sorted by what they are about. */
import { h, setText } from "../../kit/dom.js";
import { blockName, describe, letterOf, list, number, plural, range, reasonText, tierName, tokenText } from "../../words/describe.js";
import { SCHEMA } from "../../run/schema.js";
import { labels, say } from "../../words/vocabulary.js";

const MAX_SENTENCES = 12;
const MAX_NAMED = 8;

const blocksText = (events) => {
  const names = list(events.map(({ tier, block }) => blockName(tier, block)), MAX_NAMED);
  return events.length > 1 ? say`blocks ${names}` : say`block ${names}`;
};

/** What follows one another in a block table. */
function runsOf(events) {
  const runs = [];
  for (const event of events) {
    if (runs.at(-1)?.at(-1).logical === event.logical - 1) runs.at(-1).push(event);
    else runs.push([event]);
  }
  return runs;
}

function takenText(events, size) {
  const { sequence, logical, reason, group } = events[0];
  const layers = group ? `, layer group ${group}` : "";
  return `${letterOf(sequence)} got ${blocksText(events)} for positions ${range(logical * size, events.length * size)} (${reasonText(reason)}${layers}).`;
}

/** Several events of a kind in one sentence: what they are put together by, and the sentences. */
const TOGETHER = {
  BlockAllocated: [(e) => `${e.tier}/${e.group}/${e.sequence}/${e.reason}`, (events, size) => runsOf(events).map((run) => takenText(run, size))],
  BlockReleased: [(e) => e.sequence, (events) => [`${letterOf(events[0].sequence)} let go of ${blocksText(events)}.`]],
  BlockCached: [(e) => e.tier, (events) => [say`Nobody has ${blocksText(events)} of the ${tierName(events[0].tier)} now: the content stays in the cache.`]],
  BlockFilled: [(e) => e.sequence, (events) => [say`${letterOf(events[0].sequence)} filled ${blocksText(events)} to the last slot.`]],
  TokenAppended: [() => "", (events) => [`New tokens: ${list(events.map((e) => `${letterOf(e.sequence)} “${tokenText(e.text, e.token)}”`), MAX_SENTENCES)}.`]],
};

/**
 * What happened in a step.
 * @returns {[string, string[], number][]} headings, their first sentences, and how many more there are
 */
export function explain(run, step) {
  /** @type {Map<string, import("../../run/run.js").Entry[]>} */
  const byKind = new Map();
  for (const entry of run.eventsIn(step)) {
    const [kind] = entry.event;
    if (!byKind.has(kind)) byKind.set(kind, []);
    byKind.get(kind).push(entry);
  }
  return Object.entries(SCHEMA.sections).map(([heading, kinds]) => {
    const sentences = [];
    let count = 0;
    for (const kind of kinds) {
      const found = byKind.get(kind) ?? [];
      const told = TOGETHER[kind] ? togetherText(kind, found.map((entry) => run.read(entry).event), run.state.block_size) : found;
      count += told.length;
      for (const each of told.slice(0, MAX_SENTENCES - sentences.length)) sentences.push(typeof each === "string" ? each : describe(...Object.values(run.read(each))));
    }
    return [say(heading), sentences, count - sentences.length];
  }).filter(([, sentences]) => sentences.length);
}

function togetherText(kind, events, size) {
  const [keyOf, sentences] = TOGETHER[kind];
  const groups = new Map();
  for (const event of events) {
    const key = keyOf(event);
    if (!groups.has(key)) groups.set(key, []);
    groups.get(key).push(event);
  }
  return [...groups.values()].flatMap((group) => sentences(group, size));
}

export function create(view, store) {
  let shown = [];

  function draw({ run, state }) {
    if (shown[0] === run && shown[1] === state.seq) return;
    shown = [run, state.seq];
    const sections = explain(run, state.step);
    setText(view.note, `${labels.step} ${number(state.step)}`);
    view.body.replaceChildren(...sections.map(([heading, sentences, more]) => h("section", {}, h("h4", {}, heading),
      h("ul", {}, ...sentences.map((text) => h("li", {}, text)), ...(more ? [h("li", { class: "pv-more" }, `and ${plural(more, "sentence")} more`)] : [])))));
    if (!sections.length) view.body.replaceChildren(h("p", { class: "pv-hint" }, "Nothing happened yet."));
  }
  return { draw, hasCursor: false };
}
