/**
 * What events mean: the twin of `pagedviz/trace/reducer.py` and `state.py`. Same fields, same contradictions.
 *
 * Differences that nobody outside sees: maps are `Map`s, and every block keeps its fill and every tier its used
 * slots up to date, so that questions about 131,072 blocks need no walk over them.
 */
import { TraceError } from "./codec.js";

/**
 * @typedef {{name: string, sequences: number[], num_prompt: number, max_tokens: number, status: string,
 *   reason: string, preemptions: number}} Request
 * @typedef {{id: number, request: string, num_prompt: number, tokens: number[], texts: string[],
 *   computed: number, status: string, tables: Map<number, [string, number][]>}} Sequence
 * @typedef {{group: number, holders: [number, number][], born: number, copied_from: number, hash: string,
 *   fill: number}} Block
 * @typedef {{block_size: number, num_blocks: Map<string, number>, step: number, seq: number, t_us: number,
 *   requests: Map<string, Request>, sequences: Map<number, Sequence>, blocks: Map<string, Map<number, Block>>,
 *   counters: Record<string, number>, scheduled: [number, number, number][], used: Map<string, number>}} State
 */

const COUNTERS = ["allocated", "freed", "shared", "copied", "filled", "preempted", "finished", "prefill_tokens", "decode_tokens"];

const byNumber = (object, convert) => new Map(Object.entries(object ?? {}).map(([key, value]) => [Number(key), convert(value)]));

/** @returns {State} the state that a keyframe describes */
export function stateFrom(keyframe) {
  const state = {
    block_size: keyframe.block_size,
    num_blocks: new Map(Object.entries(keyframe.num_blocks)),
    step: keyframe.step ?? 0,
    seq: keyframe.seq ?? 0,
    t_us: keyframe.t_us ?? 0,
    requests: new Map(Object.entries(keyframe.requests ?? {}).map(([name, r]) => [name, { ...r, sequences: [...r.sequences] }])),
    sequences: byNumber(keyframe.sequences, (s) => ({
      ...s, tokens: [...s.tokens], texts: [...s.texts], tables: byNumber(s.tables, (table) => table.map((entry) => [...entry])),
    })),
    blocks: new Map(Object.entries(keyframe.blocks ?? {}).map(([tier, held]) => [
      tier, byNumber(held, (b) => ({ ...b, holders: b.holders.map((holder) => [...holder]), fill: 0 })),
    ])),
    counters: Object.fromEntries(COUNTERS.map((name) => [name, keyframe.counters?.[name] ?? 0])),
    scheduled: (keyframe.scheduled ?? []).map((item) => [...item]),
    used: new Map(),
  };
  for (const [tier, held] of state.blocks) for (const block of held.values()) refill(state, tier, block);
  return state;
}

/** The state as Python writes it: what `msgspec.json.encode(state)` gives, parsed. */
export function stateToJSON(state) {
  const object = (map, convert = (value) => value) => Object.fromEntries([...map].map(([key, value]) => [key, convert(value)]));
  const { used, ...rest } = state;
  return {
    ...rest,
    num_blocks: object(state.num_blocks),
    requests: object(state.requests),
    sequences: object(state.sequences, (s) => ({ ...s, tables: object(s.tables) })),
    blocks: object(state.blocks, (held) => object(held, ({ fill, ...block }) => block)),
  };
}

/** How a tier's token slots are used; the three parts add up to all of them. */
export function memoryOf(state, tier = "device") {
  const size = state.block_size;
  const held = state.blocks.get(tier)?.size ?? 0;
  const used = state.used.get(tier) ?? 0;
  return { used, waste: held * size - used, free: ((state.num_blocks.get(tier) ?? 0) - held) * size };
}

/** @returns {Block | undefined} the block, undefined if it is free */
export function blockOf(state, block, tier = "device") {
  return state.blocks.get(tier)?.get(block);
}

/** Fold one event (by field names, see `named`) into the state; throws TraceError if it contradicts it. */
export function apply(state, event) {
  const rule = RULES[event.kind];
  if (!rule) throw new TraceError(`unknown kind of event: ${event.kind}`);
  rule(state, event);
}

function must(map, key, what) {
  const value = map?.get(key);
  if (value === undefined) throw new TraceError(`it names ${what} ${key} , which does not exist`);
  return value;
}

const requestOf = (state, name) => must(state.requests, name, "request");
const sequenceOf = (state, id) => must(state.sequences, id, "sequence");
const heldBlock = (state, tier, id) => must(must(state.blocks, tier, "tier"), id, "block");

function refill(state, tier, block) {
  let fill = 0;
  for (const [sequence, logical] of block.holders) {
    fill = Math.max(fill, (state.sequences.get(sequence)?.computed ?? 0) - logical * state.block_size);
  }
  fill = Math.min(fill, state.block_size);
  state.used.set(tier, (state.used.get(tier) ?? 0) + fill - block.fill);
  block.fill = fill;
}

function setComputed(state, sequence, computed) {
  const first = Math.floor(Math.min(sequence.computed, computed) / state.block_size);
  const end = Math.ceil(Math.max(sequence.computed, computed) / state.block_size);
  sequence.computed = computed;
  for (const table of sequence.tables.values()) {
    for (let logical = Math.max(0, first); logical < Math.min(end, table.length); logical++) {
      const [tier, id] = table[logical];
      const block = blockOf(state, id, tier);
      if (block) refill(state, tier, block);
    }
  }
}

/** Contradiction: the event cannot have happened in this state. */
function refuse(reason) {
  throw new TraceError(reason);
}

function setEntry(state, { tier, group, block, sequence, logical }) {
  const { tables } = sequenceOf(state, sequence);
  if (!tables.has(group)) tables.set(group, []);
  const table = tables.get(group);
  if (logical < 0 || logical > table.length) refuse(`entry ${logical} is set in a table of ${table.length}`);
  table[logical] = [tier, block];
}

function checkHolders(block, event) {
  if (block.holders.length !== event.refcount) {
    refuse(`block ${event.block} has ${block.holders.length} holders, not ${event.refcount}`);
  }
}

const holderIndex = (block, event) => block.holders.findIndex(([sequence, logical]) => sequence === event.sequence && logical === event.logical);

/** The block, which the sequence must have as that entry. */
function blockHeldBy(state, event) {
  const block = heldBlock(state, event.tier, event.block);
  if (holderIndex(block, event) < 0) refuse(`block ${event.block} is not entry ${event.logical} of sequence ${event.sequence}`);
  return block;
}

const RULES = {
  StepStarted(state, event) {
    state.scheduled = event.scheduled;
  },
  StepFinished(state, event) {
    for (const [id, start, count] of state.scheduled) {
      const sequence = sequenceOf(state, id);
      if (!(start >= 0 && count >= 0 && start + count <= sequence.tokens.length)) {
        refuse(`${count} tokens from ${start} on are computed of ${sequence.tokens.length}`);
      }
      if (sequence.status === "running") setComputed(state, sequence, start + count);
    }
    state.counters.prefill_tokens += event.prefill_tokens;
    state.counters.decode_tokens += event.decode_tokens;
  },
  KernelLaunched() {},
  RequestAdded(state, event) {
    const num_prompt = event.prompt.length;
    if (state.requests.has(event.request)) refuse(`request ${event.request} is added twice`);
    const texts = event.texts.length ? event.texts : event.prompt.map(() => "");
    if (texts.length !== num_prompt) refuse(`${num_prompt} prompt tokens have ${texts.length} texts`);
    for (const id of event.sequences) {
      if (state.sequences.has(id)) refuse(`sequence ${id} is added twice`);
      state.sequences.set(id, {
        id, request: event.request, num_prompt, tokens: [...event.prompt],
        texts: [...texts], computed: 0, status: "waiting", tables: new Map(),
      });
    }
    state.requests.set(event.request, {
      name: event.request, sequences: [...event.sequences], num_prompt, max_tokens: event.max_tokens,
      status: "waiting", reason: "", preemptions: 0,
    });
  },
  RequestScheduled(state, event) {
    const request = requestOf(state, event.request);
    if (request.status !== "waiting" && request.status !== "preempted") refuse(`request ${event.request} is ${request.status}, not waiting`);
    request.status = "running";
    // A request begins with one sequence; the others fork from it when the prompt is in memory.
    const first = request.sequences.map((id) => sequenceOf(state, id)).find(({ status }) => status === "waiting");
    if (first) first.status = "running";
  },
  RequestPreempted(state, event) {
    const request = requestOf(state, event.request);
    if (request.status !== "running") refuse(`request ${event.request} is ${request.status}, not running`);
    request.status = "preempted";
    request.preemptions += 1;
    state.counters.preempted += 1;
    for (const id of request.sequences) {
      const sequence = sequenceOf(state, id);
      setComputed(state, sequence, 0);
      if (sequence.status === "running") sequence.status = "waiting";
    }
  },
  RequestFinished(state, event) {
    const request = requestOf(state, event.request);
    if (request.status === "finished") refuse(`request ${event.request} finishes twice`);
    request.status = "finished";
    request.reason = event.reason;
    state.counters.finished += 1;
  },
  SequenceForked(state, event) {
    const parent = sequenceOf(state, event.parent);
    const child = sequenceOf(state, event.child);
    if (child.status !== "waiting") refuse(`sequence ${event.child} is ${child.status}, not waiting`);
    const there = Math.min(parent.computed, child.tokens.length);
    if (!(event.num_tokens >= 0 && event.num_tokens <= there)) refuse(`${event.num_tokens} tokens are shared of ${there} in memory`);
    setComputed(state, child, event.num_tokens);
    child.status = "running";
  },
  SequenceFinished(state, event) {
    const sequence = sequenceOf(state, event.sequence);
    if (sequence.status === "finished") refuse(`sequence ${event.sequence} finishes twice`);
    sequence.status = "finished";
  },
  TokenAppended(state, event) {
    const sequence = sequenceOf(state, event.sequence);
    if (event.position !== sequence.tokens.length) {
      refuse(`position ${event.position} follows ${sequence.tokens.length} tokens`);
    }
    if (sequence.status === "finished") refuse(`sequence ${event.sequence} has finished`);
    sequence.tokens.push(event.token);
    sequence.texts.push(event.text);
  },
  BlockAllocated(state, event) {
    const pool = must(state.num_blocks, event.tier, "tier");
    if (!state.blocks.has(event.tier)) state.blocks.set(event.tier, new Map());
    const held = state.blocks.get(event.tier);
    if (held.has(event.block)) refuse(`block ${event.block} is handed out twice`);
    if (!(event.block >= 0 && event.block < pool)) refuse(`block ${event.block} is outside the ${event.tier} pool of ${pool}`);
    const block = { group: event.group, holders: [[event.sequence, event.logical]], born: state.step, copied_from: -1, hash: "", fill: 0 };
    held.set(event.block, block);
    setEntry(state, event);
    refill(state, event.tier, block);
    state.counters.allocated += 1;
  },
  BlockFilled(state, event) {
    blockHeldBy(state, event).hash = event.hash;
    state.counters.filled += 1;
  },
  BlockShared(state, event) {
    const block = heldBlock(state, event.tier, event.block);
    if (holderIndex(block, event) >= 0) refuse(`sequence ${event.sequence} already has block ${event.block}`);
    block.holders.push([event.sequence, event.logical]);
    checkHolders(block, event);
    setEntry(state, event);
    refill(state, event.tier, block);
    state.counters.shared += 1;
  },
  BlockCopied(state, event) {
    if (!must(state.blocks, event.tier, "tier").has(event.source)) refuse(`block ${event.source} is copied while nobody has it`);
    heldBlock(state, event.tier, event.target).copied_from = event.source;
    state.counters.copied += 1;
  },
  BlockReleased(state, event) {
    const { tier, sequence, logical } = event;
    const block = blockHeldBy(state, event);
    block.holders.splice(holderIndex(block, event), 1);
    checkHolders(block, event);
    refill(state, tier, block);
    const table = must(sequenceOf(state, sequence).tables, event.group, "group");
    if (!table[logical]) refuse(`entry ${logical} is outside a table of ${table.length}`);
    // After copy-on-write the entry already names the copy. Otherwise tables shrink from their end.
    if (table[logical][0] === tier && table[logical][1] === event.block) {
      if (logical !== table.length - 1) refuse(`entry ${logical} of ${table.length} is dropped from the middle of a table`);
      table.pop();
    }
  },
  BlockFreed(state, event) {
    const block = heldBlock(state, event.tier, event.block);
    if (block.holders.length) refuse(`block ${event.block} is freed while somebody has it`);
    state.used.set(event.tier, (state.used.get(event.tier) ?? 0) - block.fill);
    state.blocks.get(event.tier).delete(event.block);
    state.counters.freed += 1;
  },
};
