/**
 * What Belady's rule, which knows the future, would have evicted: of the cached blocks, one whose content is asked for last, or never again in the run.
 * Content is asked for when a request that begins to run looks for it, whether it is found or must be computed.
 * L. A. Belady, "A study of replacement algorithms for a virtual-storage computer" (IBM Systems Journal, 1966).
 */
import { named } from "./codec.js";
import { apply } from "./reducer.js";
import { blockAt, blockOf } from "./state.js";

/** How many events ahead we look for the next use of content. */
const MAX_AHEAD = 200000;

/** Finds what is looked for in the cache, as a state takes events in. */
class Uses {
  constructor(state) {
    /** sequence -> its blocks from this one on are not looked for: they were not written yet when it began to run. @type {Map<number, number>} */
    this.ends = new Map();
    for (const sequence of state.sequences.values()) if (sequence.computed < sequence.tokens.length - 1) this.#begin(state, sequence);
  }

  #begin(state, { id, tokens }) {
    // The last token is always computed, so nobody looks for the block that it fills.
    this.ends.set(id, Math.floor((tokens.length - 1) / state.block_size));
  }

  /** The contents, `group hash` each, that are looked for by this event; it is not applied yet. @returns {string[]} */
  of(state, { kind, request, sequence: id, tier, block, blocks, group, logical, hash }) {
    if (kind === "RequestScheduled") for (const each of state.requests.get(request).sequences) if (!state.sequences.get(each).computed) this.#begin(state, state.sequences.get(each));
    // A block that came up from the host has its name already, and is part of a hit.
    if (kind === "BlockFilled") return logical < (this.ends.get(id) ?? 0) && blockOf(state, block, tier)?.hash !== hash ? [`${group} ${hash}`] : [];
    if (kind !== "PrefixHit") return [];
    return [...state.sequences.get(id).tables].flatMap(([of, table]) => table.slice(0, blocks).filter(Boolean).map((entry) => `${of} ${blockAt(state, entry)?.hash}`));
  }
}

/**
 * What could have been evicted when a step first evicted from a tier, and when each content is asked for next.
 * @param {import("./run.js").Run} run
 * @returns {{needed: Map<number, number | null>, isWhole: boolean} | null} block -> step, null: not again in the part that was looked at, which
 *   is the rest of the run if it is whole; null: the step evicts nothing from the tier
 */
export function futureOf(run, step, tier = "device") {
  let { count, state } = run.stateAt(step - 1);
  const uses = new Uses(state);
  const next = new Map();
  let idle = null;
  let left = MAX_AHEAD;
  for (; count < run.batches.length && left > 0; count++) {
    const { step: at } = run.batches[count];
    if (!idle && at > step) return null;
    state.step = at;
    for (const array of run.eventsOf(count)) {
      const event = named(array, run.decoder.shapes);
      if (!idle && event.kind === "BlockEvicted" && event.tier === tier) idle = [...state.blocks.get(tier)].filter(([, block]) => block.idle).map(([id, { group, hash }]) => [id, `${group} ${hash}`]);
      for (const content of uses.of(state, event)) if (idle && !next.has(content)) next.set(content, at);
      apply(state, event);
      left -= idle ? 1 : 0;
    }
  }
  return idle && { needed: new Map(idle.map(([id, content]) => [id, next.get(content) ?? null])), isWhole: count === run.batches.length };
}

/** The block that is needed last, and when. @returns {{block: number, step: number | null, isWhole: boolean} | null} */
export function beladyChoice(run, step, tier) {
  const future = futureOf(run, step, tier);
  if (!future) return null;
  const [block, at] = [...future.needed].reduce((best, each) => ((each[1] ?? Infinity) > (best[1] ?? Infinity) ? each : best));
  return { block, step: at, ...future };
}
