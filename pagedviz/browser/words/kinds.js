/** Kinds of events: what they are called, of which family they are, and what an event is about. */
import { blockName, letterOf, list } from "./describe.js";
import { SCHEMA } from "../run/schema.js";
import { THEME } from "./theme.js";
import { say } from "./vocabulary.js";

/** What the engine can stop before, because a step can be planned without being run; decisions before what follows from them. */
export const BEFORE = SCHEMA.foretold;

export const FAMILIES = Object.entries(SCHEMA.families).map(([family, kinds]) => [family, Object.keys(kinds)]);
const OF = new Map(FAMILIES.flatMap(([family, kinds]) => kinds.map((kind) => [kind, family])));

export const familyOf = (kind) => OF.get(kind) ?? "other";

export const kindName = (kind) => say(THEME.kinds[kind] ?? kind);

/** Kinds as people list them: an eviction and a swap out. */
export const kindsText = (kinds) => list(kinds.map((kind) => `a ${kindName(kind)}`.replace(/^a (?=[aeiou])/, "an ")));

/** Python's message with the names of records in the words for people. */
export const worded = (message) => message
  .replace(/(?<=which will cause )[A-Z]\w+(?:, [A-Z]\w+)*/g, (names) => kindsText(names.split(", ")))
  .replace(/(?<=^stopped: |, )[A-Z]\w+(?= in step \d)/g, kindName);

/** What an event is about, as a cursor. */
export function cursorOf({ kind, tier, block, target, sequence, position, request }) {
  if (tier) return { tier, block: block ?? target };
  if (kind === "TokenAppended") return { sequence, token: position };
  return request ? { request } : null;
}

/** All that an event names, as people call it: blocks, also those of the host, and sequences. */
function namesIn({ kind, tier, block, source, target, pairs, sequence, parent, child, sequences, scheduled }) {
  const tiers = kind === "SwappedOut" ? ["device", "host"] : ["host", "device"];
  const blocks = [block, source, target].filter((id) => id !== undefined).map((id) => blockName(tier, id));
  const moved = (pairs ?? []).flatMap((pair) => pair.map((id, side) => blockName(tiers[side], id)));
  const named = [sequence, parent, child, ...(sequences ?? []), ...(scheduled ?? []).map(([id]) => id)].filter((id) => id !== undefined);
  return { blocks: [...blocks, ...moved], sequences: named.map(letterOf) };
}

/**
 * Which events a person's words mean: `block 17` and `h17` are those that touch the block, `B` those of the sequence; all other words are
 * looked for in kind, request and sentence, from a word's beginning.
 * @returns {(event: object, sentence: () => string) => boolean}
 */
export function matcherOf(words) {
  const block = words.match(/^(?:(?:block|frame|page frame) ?([a-z]?\d+)|([hs]\d+))$/i);
  if (block) return (event) => namesIn(event).blocks.includes((block[1] ?? block[2]).toLowerCase());
  if (/^[A-Z]{1,2}$/.test(words)) return (event) => namesIn(event).sequences.includes(words);
  const pattern = new RegExp(`(^|\\W)${words.replace(/\W/g, "\\$&")}`, "i");
  return ({ kind, request = "" }, sentence) => pattern.test(`${kind} ${request} ${sentence()}`);
}
