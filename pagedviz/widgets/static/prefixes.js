/**
 * Whose content follows whose: every full block's content has the content before it as its parent, so all of them are trees. Kept as
 * events come in; which of it is in memory, and who has it, the state says.
 */

/** @typedef {{parent: string, logical: number, text: string, hits: number[]}} Content `hits`: in which steps */

export class Prefixes {
  constructor(state) {
    /** By hash; of the first layer group, which stands for all. @type {Map<string, Content>} */
    this.byHash = new Map();
    /** What was evicted when. @type {[number, string][]} */
    this.evictions = [];
    // Of what a trace begins with, the holders know the text.
    for (const { id, tables } of state.sequences.values()) {
      for (const [logical, [tier, block]] of (tables.get(0) ?? []).entries()) {
        const { hash } = state.blocks.get(tier)?.get(block) ?? {};
        if (hash) this.#filled(state, { hash, group: 0, sequence: id, logical });
      }
    }
  }

  /** Look at an event before it is applied. */
  before(state, event) {
    switch (event.kind) {
      case "BlockFilled":
        return this.#filled(state, event);
      case "PrefixHit":
        return this.#hit(state, event);
      case "BlockEvicted":
        if (!event.group) this.evictions.push([state.step, event.hash]);
    }
  }

  #filled(state, { hash, group, sequence: id, logical }) {
    if (group || this.byHash.has(hash)) return;
    const sequence = state.sequences.get(id);
    const first = logical * state.block_size;
    const [tier, block] = sequence?.tables.get(0)?.[logical - 1] ?? [];
    const parent = state.blocks.get(tier)?.get(block)?.hash ?? "";
    this.byHash.set(hash, { parent, logical, text: sequence?.texts.slice(first, first + state.block_size).join("") ?? "", hits: [] });
  }

  #hit(state, { sequence, blocks, resumed }) {
    if (resumed) return;
    for (const [tier, block] of (state.sequences.get(sequence)?.tables.get(0) ?? []).slice(0, blocks)) {
      this.byHash.get(state.blocks.get(tier)?.get(block)?.hash)?.hits.push(state.step);
    }
  }
}

/** @typedef {{hashes: string[], depth: number, places: [string, number, object][], children: Node[], gone: boolean, hits: number}} Node */

/**
 * The trees that are in memory after the state's step, or were until a few steps before. A row of content that nobody branches off
 * from, and that the same sequences have, is one node.
 * @returns {Node[]} roots
 */
export function treesOf(prefixes, state, fadingSteps) {
  const found = new Map();
  for (const [tier, held] of state.blocks) for (const [id, block] of held) if (block.hash && !block.group && !found.has(block.hash)) found.set(block.hash, [tier, id, block]);
  const present = new Map([...found].map(([hash, place]) => [hash, { place }]));
  for (let i = prefixes.evictions.length - 1; i >= 0; i--) {
    const [step, hash] = prefixes.evictions[i];
    if (step <= state.step - fadingSteps) break;
    if (step <= state.step && !present.has(hash)) present.set(hash, { place: null });
  }
  const children = new Map();
  for (const hash of present.keys()) {
    const parent = prefixes.byHash.get(hash)?.parent ?? "";
    const key = present.has(parent) ? parent : "";
    children.set(key, [...(children.get(key) ?? []), hash]);
  }
  const stateOf = (hash) => JSON.stringify(present.get(hash).place && [present.get(hash).place[0], present.get(hash).place[2].holders.map(([sequence]) => sequence)]);
  const hitsOf = (hash) => prefixes.byHash.get(hash)?.hits.filter((step) => step <= state.step).length ?? 0;
  const nodeOf = (hash, depth) => {
    const hashes = [hash];
    for (let next = children.get(hash) ?? []; next.length === 1 && stateOf(next[0]) === stateOf(hash) && hitsOf(next[0]) === hitsOf(hash); next = children.get(next[0]) ?? []) hashes.push(next[0]);
    const places = hashes.map((each) => present.get(each).place).filter(Boolean);
    return { hashes, depth, places, gone: !places.length, hits: hitsOf(hash), children: (children.get(hashes.at(-1)) ?? []).map((each) => nodeOf(each, depth + 1)) };
  };
  return (children.get("") ?? []).map((hash) => nodeOf(hash, 0));
}
