/**
 * What memory looks like at one moment: the twin of `pagedviz/trace/state.py`, same fields. What events do to it is in `rules/`.
 *
 * Differences that nobody outside sees: maps are `Map`s, and every block keeps its fill and every tier its used slots and cached
 * blocks up to date, so that questions about 131,072 blocks need no walk over them.
 */
import { COUNTERS, TraceError } from "./codec.js";

/**
 * @typedef {{name: string, sequences: number[], num_prompt: number, max_tokens: number, status: string,
 *   reason: string, preemptions: number}} Request
 * @typedef {{id: number, request: string, num_prompt: number, tokens: number[], texts: string[],
 *   computed: number, status: string, tables: Map<number, ([string, number] | null)[]>}} Sequence an entry is null where no block is known
 * @typedef {{group: number, holders: [number, number][], born: number, copied_from: number, hash: string, cached: number,
 *   moved_from: number, fill: number, idle: number}} Block `fill` and `idle` (nobody has it: 1) are this twin's own
 * @typedef {{step: number, policy: string, why: string}} Eviction
 * @typedef {{block_size: number, num_blocks: Map<string, number>, step: number, seq: number, t_us: number,
 *   requests: Map<string, Request>, sequences: Map<number, Sequence>, blocks: Map<string, Map<number, Block>>,
 *   counters: Record<string, number>, scheduled: [number, number, number][], evicted: Map<string, Map<number, Eviction>>,
 *   use: Map<string, {used: number, cached: number}>}} State
 */

const byName = (object, convert = (value) => value) => new Map(Object.entries(object ?? {}).map(([key, value]) => [key, convert(value)]));
const byNumber = (object, convert) => new Map([...byName(object, convert)].map(([key, value]) => [Number(key), value]));

/** A block as it begins. */
export const newBlock = (group, born, holders) => ({ group, holders, born, copied_from: -1, hash: "", cached: -1, moved_from: -1, fill: 0, idle: 0 });

/** @returns {State} the state that a keyframe describes */
export function stateFrom(keyframe) {
  const found = structuredClone(keyframe);
  const state = {
    step: 0, seq: 0, t_us: 0, scheduled: [], ...found,
    num_blocks: byName(found.num_blocks),
    requests: byName(found.requests, (r) => ({ status: "waiting", reason: "", preemptions: 0, ...r })),
    sequences: byNumber(found.sequences, (s) => ({ computed: 0, status: "waiting", ...s, tables: byNumber(s.tables) })),
    blocks: byName(found.blocks, (held) => byNumber(held, (b) => ({ ...newBlock(), ...b, fill: 0, idle: 0 }))),
    counters: Object.fromEntries(COUNTERS.split(" ").map((name) => [name, found.counters?.[name] ?? 0])),
    evicted: byName(found.evicted, (gone) => byNumber(gone)),
    use: new Map(),
  };
  for (const [tier, held] of state.blocks) for (const block of held.values()) refill(state, tier, block);
  return state;
}

/** Block tables are int32. */
const MOST_BLOCKS = 2 ** 31 - 1;

/** The state, or TraceError if its parts contradict each other: the twin of `pagedviz/trace/invariants.py`. @param {State} state */
export function checked(state) {
  const { block_size, num_blocks, requests, sequences, blocks } = state;
  const check = (holds, problem) => {
    if (!holds) throw new TraceError(`the keyframe in line 2 contradicts itself: ${problem}`);
  };
  check(block_size > 0, `a block has ${block_size} slots`);
  check(num_blocks.has("device"), "it has no device pool");
  for (const [tier, size] of num_blocks) {
    check(tier === "device" || tier === "host", `there is no tier ${tier}`);
    check(size >= 0 && size <= MOST_BLOCKS, `the ${tier} pool has ${size} blocks`);
  }
  for (const [key, { name, sequences: own }] of requests) {
    check(name === key && own.length, `request ${key} is called ${name} and has ${own.length} sequences`);
    for (const id of own) check(sequences.get(id)?.request === key, `request ${key} has sequence ${id}, which does not belong to it`);
  }
  const entries = new Set();
  const entry = (sequence, logical, group, tier, block) => `entry ${logical} of sequence ${sequence} is ${tier} block ${block} in group ${group}`;
  for (const [key, { id, request, tokens, texts, computed, tables }] of sequences) {
    check(id === key, `sequence ${key} is called ${id}`);
    check(requests.get(request)?.sequences.filter((one) => one === id).length === 1, `sequence ${id} belongs to request ${request}, which does not have it once`);
    check(texts.length === tokens.length, `sequence ${id} has ${tokens.length} tokens and ${texts.length} texts`);
    check(computed >= 0 && computed <= tokens.length, `sequence ${id} has ${tokens.length} tokens, ${computed} in memory`);
    for (const [group, table] of tables) {
      check(table.at(-1) !== null, `the table of sequence ${id} in group ${group} ends with an absent entry`);
      table.forEach((place, logical) => place && entries.add(entry(id, logical, group, ...place)));
    }
  }
  for (const [tier, held] of blocks) {
    const size = num_blocks.get(tier) ?? 0;
    for (const [id, { group, holders, hash, cached }] of held) {
      check(id >= 0 && id < size, `block ${id} is outside the ${tier} pool of ${size}`);
      check(holders.length || (hash && cached >= 0), `${tier} block ${id} is held by nobody, and not cached`);
      for (const holder of holders) {
        const known = entry(...holder, group, tier, id);
        check(entries.delete(known), `only the block says that ${known}`);
      }
    }
  }
  for (const known of entries) check(false, `only the table says that ${known}`);
  return state;
}

/** Whether a sequence stays as it is for ever: its request has finished, and it has no blocks. */
export function isOver(state, { status, request, tables }) {
  if (status !== "finished" || state.requests.get(request)?.status !== "finished") return false;
  for (const table of tables.values()) if (table.length) return false;
  return true;
}

/** A state that later changes to this one leave alone; both have what is over. @param {State} state @returns {State} */
export function copyState(state) {
  const mapped = (map, convert) => new Map([...map].map(([key, value]) => [key, convert(value)]));
  return {
    ...state,
    num_blocks: new Map(state.num_blocks),
    requests: mapped(state.requests, (r) => (r.status === "finished" ? r : { ...r, sequences: [...r.sequences] })),
    sequences: mapped(state.sequences, (s) => (isOver(state, s) ? s : { ...s, tokens: s.tokens.slice(), texts: s.texts.slice(), tables: mapped(s.tables, (table) => table.slice()) })),
    blocks: mapped(state.blocks, (held) => mapped(held, (b) => ({ ...b, holders: b.holders.slice() }))),
    counters: { ...state.counters },
    scheduled: state.scheduled.slice(),
    evicted: mapped(state.evicted, (gone) => new Map(gone)),
    use: mapped(state.use, (use) => ({ ...use })),
  };
}

/** The state as Python writes it: what `msgspec.json.encode(state)` gives, parsed. */
export function stateToJSON({ use, ...state }) {
  const object = (map, convert = (value) => value) => Object.fromEntries([...map].map(([key, value]) => [key, convert(value)]));
  return {
    ...state,
    num_blocks: object(state.num_blocks),
    requests: object(state.requests),
    sequences: object(state.sequences, (s) => ({ ...s, tables: object(s.tables) })),
    blocks: object(state.blocks, (held) => object(held, ({ fill, idle, ...block }) => block)),
    evicted: object(state.evicted, (gone) => object(gone)),
  };
}

/** How many slots and blocks of a tier are in use; made when first asked for. */
export function useOf(state, tier) {
  return state.use.get(tier) ?? state.use.set(tier, { used: 0, cached: 0 }).get(tier);
}

/** How a tier's token slots are used; the parts add up to all of them. */
export function memoryOf(state, tier = "device") {
  const size = state.block_size;
  const taken = state.blocks.get(tier)?.size ?? 0;
  const { used, cached } = useOf(state, tier);
  return { used, cached: cached * size, internal: (taken - cached) * size - used, free: ((state.num_blocks.get(tier) ?? 0) - taken) * size };
}

/** @returns {Block | undefined} the block, undefined if it is free */
export function blockOf(state, block, tier = "device") {
  return state.blocks.get(tier)?.get(block);
}

/** @returns {Block | undefined} the block that an entry of a block table names; undefined if it is absent */
export const blockAt = (state, entry) => (entry ? blockOf(state, entry[1], entry[0]) : undefined);

/** Bring a block's fill, and what it adds to its tier's use, up to date. */
export function refill(state, tier, block) {
  const idle = block.holders.length ? 0 : 1;
  let fill = idle * state.block_size;
  for (const [sequence, logical] of block.holders) {
    fill = Math.max(fill, (state.sequences.get(sequence)?.computed ?? 0) - logical * state.block_size);
  }
  fill = Math.min(fill, state.block_size);
  const use = useOf(state, tier);
  use.used += (idle ? 0 : fill) - (block.idle ? 0 : block.fill);
  use.cached += idle - block.idle;
  Object.assign(block, { fill, idle });
}

/** So many of the sequence's tokens have their K and V in its blocks from now on. */
export function setComputed(state, sequence, computed) {
  const first = Math.floor(Math.min(sequence.computed, computed) / state.block_size);
  const end = Math.ceil(Math.max(sequence.computed, computed) / state.block_size);
  sequence.computed = computed;
  for (const table of sequence.tables.values()) {
    for (const entry of table.slice(first, end)) {
      const block = blockAt(state, entry);
      if (block) refill(state, entry[0], block);
    }
  }
}
