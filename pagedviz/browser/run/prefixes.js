/**
 * Whose content follows whose: every full block's content has the content before it as its parent, so all of them are trees. Kept as
 * events come in; which of it is in memory, and who has it, the state says.
 */
import { blockAt } from "./state.js";

/** @typedef {{parent: string, logical: number, text: string, hits: number[]}} Content `hits`: in which steps */

export class Prefixes {
  constructor(state) {
    /** By hash; of the first layer group, which stands for all. @type {Map<string, Content>} */
    this.byHash = new Map();
    /** What was evicted when. @type {[number, string][]} */
    this.evictions = [];
    // A trace may begin in the middle of a run: blocks that are full then have their text from the sequences that hold them.
    for (const { id, tables } of state.sequences.values()) {
      for (const [logical, entry] of (tables.get(0) ?? []).entries()) {
        const hash = blockAt(state, entry)?.hash;
        if (hash) this.#filled(state, { hash, group: 0, sequence: id, logical }, (look) => look());
      }
    }
  }

  /** Look at an event before it is applied; `later` takes what is to be done once the whole batch is. */
  before(state, event, later) {
    switch (event.kind) {
      case "BlockFilled":
        return this.#filled(state, event, later);
      case "PrefixHit":
        return this.#hit(state, event, later);
      case "BlockEvicted":
        if (!event.group) later(() => this.evictions.push([state.step, event.hash]));
    }
  }

  #filled(state, { hash, group, sequence: id, logical }, later) {
    if (group || this.byHash.has(hash)) return;
    const sequence = state.sequences.get(id);
    const first = logical * state.block_size;
    const parent = blockAt(state, sequence?.tables.get(0)?.[logical - 1])?.hash ?? "";
    const content = { parent, logical, text: sequence?.texts.slice(first, first + state.block_size).join("") ?? "", hits: [] };
    later(() => this.byHash.has(hash) || this.byHash.set(hash, content));
  }

  #hit(state, { sequence, blocks, resumed }, later) {
    if (resumed) return;
    for (const entry of (state.sequences.get(sequence)?.tables.get(0) ?? []).slice(0, blocks)) {
      const hash = blockAt(state, entry)?.hash;
      later(() => this.byHash.get(hash)?.hits.push(state.step));
    }
  }
}

/** @typedef {{hashes: string[], depth: number, places: [string, number, object][], since: number | undefined, hits: number}} Node `since`: when it was evicted */

/**
 * The trees that are in memory after the state's step, or were until a few steps before, roots first, then down each branch. A row of content
 * that nobody branches off from, and that the same sequences have, is one node.
 * @returns {{nodes: Node[], more: number}} at most so many, and how many branches are left out at least
 */
export function treesOf(prefixes, state, fadingSteps, most) {
  const found = new Map();
  for (const [tier, held] of state.blocks) for (const [id, block] of held) if (block.hash && !block.group && !found.has(block.hash)) found.set(block.hash, [tier, id, block]);
  const present = new Map([...found].map(([hash, place]) => [hash, { place }]));
  for (let i = prefixes.evictions.length - 1; i >= 0; i--) {
    const [step, hash] = prefixes.evictions[i];
    if (step <= state.step - fadingSteps) break;
    if (step <= state.step && !present.has(hash)) present.set(hash, { place: null, since: step });
  }
  const children = new Map();
  for (const hash of present.keys()) {
    const parent = prefixes.byHash.get(hash)?.parent ?? "";
    const key = present.has(parent) ? parent : "";
    if (!children.has(key)) children.set(key, []);
    children.get(key).push(hash);
  }
  const stateOf = (hash) => JSON.stringify(present.get(hash).place && [present.get(hash).place[0], present.get(hash).place[2].holders.map(([sequence]) => sequence)]);
  const hitsOf = (hash) => prefixes.byHash.get(hash)?.hits.filter((step) => step <= state.step).length ?? 0;
  const nodes = [];
  // Down each branch before the next one.
  const due = (children.get("") ?? []).map((hash) => [hash, 0]).reverse();
  while (due.length && nodes.length < most) {
    const [hash, depth] = due.pop();
    const hashes = [hash];
    for (let next = children.get(hash) ?? []; next.length === 1 && stateOf(next[0]) === stateOf(hash) && hitsOf(next[0]) === hitsOf(hash); next = children.get(next[0]) ?? []) hashes.push(next[0]);
    const places = hashes.map((each) => present.get(each).place).filter(Boolean);
    const since = present.get(hash).since;
    nodes.push({ hashes, depth, places, since, hits: hitsOf(hash) });
    for (const each of (children.get(hashes.at(-1)) ?? []).reverse()) due.push([each, depth + 1]);
  }
  return { nodes, more: due.length };
}
