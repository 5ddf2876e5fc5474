/**
 * What each kind of event means: the twin of `pagedviz/trace/rules`. Same contradictions, in fewer words: whoever reports one adds
 * the event.
 */
import { TraceError } from "./codec.js";
import { SCHEMA } from "./schema.js";
import { blockOf, newBlock, refill, useOf } from "./state.js";

/** Unless this holds, the event cannot have happened in this state. */
function check(holds, reason) {
  if (!holds) throw new TraceError(reason);
}

function must(map, key, what) {
  const value = map?.get(key);
  check(value !== undefined, `there is no ${what} ${key}`);
  return value;
}

const requestOf = (state, name) => must(state.requests, name, "request");

/** The request, which must go on. */
function unfinished(state, name) {
  const request = requestOf(state, name);
  check(request.status !== "finished", "its request has finished");
  return request;
}

const sequenceOf = (state, id) => must(state.sequences, id, "sequence");
const takenBlock = (state, tier, id) => must(must(state.blocks, tier, "tier"), id, "block");

function setComputed(state, sequence, computed) {
  const first = Math.floor(Math.min(sequence.computed, computed) / state.block_size);
  const end = Math.ceil(Math.max(sequence.computed, computed) / state.block_size);
  sequence.computed = computed;
  for (const table of sequence.tables.values()) {
    for (const [tier, id] of table.slice(first, end)) {
      const block = blockOf(state, id, tier);
      if (block) refill(state, tier, block);
    }
  }
}

function addSequence(state, id, request, { num_prompt, tokens, texts }) {
  state.sequences.set(id, { id, request, num_prompt, tokens: [...tokens], texts: [...texts], computed: 0, status: "waiting", tables: new Map() });
}

function setEntry(state, { tier, group, block, sequence, logical }) {
  const { tables, status } = sequenceOf(state, sequence);
  check(status !== "finished", "it has finished");
  if (!tables.has(group)) tables.set(group, []);
  const table = tables.get(group);
  check(logical >= 0 && logical <= table.length, `the table has ${table.length} entries`);
  table[logical] = [tier, block];
}

const holderIndex = (block, event) => block.holders.findIndex(([sequence, logical]) => sequence === event.sequence && logical === event.logical);

/** The block, which the sequence must have as that entry. */
function blockHeldBy(state, event) {
  const block = takenBlock(state, event.tier, event.block);
  check(holderIndex(block, event) >= 0, "the sequence does not have the block");
  return block;
}

/** The holders changed: they must be as many as the event says, and the block is no longer cached. */
function holdersChanged(state, block, { tier, refcount }) {
  check(block.holders.length === refcount, `the block has ${block.holders.length} holders`);
  block.cached = -1;
  refill(state, tier, block);
}

/** The tier's blocks, which may have one of that id. */
function poolFor(state, { tier, block }) {
  check(block >= 0 && block < must(state.num_blocks, tier, "tier"), "the block is outside its pool");
  if (!state.blocks.has(tier)) state.blocks.set(tier, new Map());
  return state.blocks.get(tier);
}

/** The block, which nobody may have. */
function idleBlock(state, { tier, block: id }) {
  const block = takenBlock(state, tier, id);
  check(!block.holders.length, "somebody has the block");
  return block;
}

/** The block is free from now on. */
function drop(state, tier, id) {
  useOf(state, tier).cached -= 1;
  state.blocks.get(tier).delete(id);
}

function move(state, from, to, { pairs, num_bytes, duration_us }, counter) {
  const [sources, targets] = [from, to].map((tier) => must(state.blocks, tier, "tier"));
  for (const [source, target] of pairs) {
    const { hash } = must(sources, source, "block");
    Object.assign(must(targets, target, "block"), { hash, moved_from: source });
  }
  state.counters.swapped_bytes += num_bytes;
  state.counters.swap_us += duration_us;
  state.counters[counter] += pairs.length;
}

const RULES = new Map(Object.entries({
  StepStarted(state, event) {
    state.scheduled = event.scheduled;
  },
  StepFinished(state, event) {
    for (const [id, start, count] of state.scheduled) {
      const sequence = sequenceOf(state, id);
      check(start >= 0 && count >= 0 && start + count <= sequence.tokens.length, `more is computed than the ${sequence.tokens.length} tokens there are`);
      if (sequence.status === "running") setComputed(state, sequence, start + count);
    }
    state.counters.prefill_tokens += event.prefill_tokens;
    state.counters.decode_tokens += event.decode_tokens;
  },
  KernelLaunched() {},
  RequestAdded(state, { request: name, sequences, prompt, texts, max_tokens }) {
    const num_prompt = prompt.length;
    check(!state.requests.has(name), "it is added twice");
    check(sequences.length, "it has no sequence");
    if (!texts.length) texts = prompt.map(() => "");
    check(texts.length === num_prompt, `${texts.length} texts for ${num_prompt} tokens`);
    for (const id of sequences) {
      check(!state.sequences.has(id), `sequence ${id} is added twice`);
      addSequence(state, id, name, { num_prompt, tokens: prompt, texts });
    }
    state.requests.set(name, { name, sequences: [...sequences], num_prompt, max_tokens, status: "waiting", reason: "", preemptions: 0 });
  },
  RequestScheduled(state, event) {
    const request = requestOf(state, event.request);
    const was = request.status;
    check(["waiting", "preempted", "swapped"].includes(was), `it is ${was}`);
    request.status = "running";
    // A request begins with one sequence; the others fork from it when the prompt is in memory. A swapped one goes on with all.
    const swapped = was === "swapped";
    const sequences = request.sequences.map((id) => sequenceOf(state, id)).filter(({ status }) => status === (swapped ? was : "waiting"));
    for (const sequence of swapped ? sequences : sequences.slice(0, 1)) sequence.status = "running";
  },
  RequestPreempted(state, event) {
    const request = requestOf(state, event.request);
    check(request.status === "running", `it is ${request.status}`);
    const swaps = event.mode === "swap";
    request.status = swaps ? "swapped" : "preempted";
    request.preemptions += 1;
    state.counters.lost_tokens += event.tokens_lost;
    for (const id of request.sequences) {
      const sequence = sequenceOf(state, id);
      if (!swaps) setComputed(state, sequence, 0);
      if (sequence.status === "running") sequence.status = swaps ? "swapped" : "waiting";
    }
  },
  RequestFinished(state, event) {
    const request = requestOf(state, event.request);
    check(request.status !== "finished", "it finishes twice");
    request.status = "finished";
    request.reason = event.reason;
  },
  SequenceForked(state, { request, parent: from, child: id, num_tokens }) {
    const parent = sequenceOf(state, from);
    if (!state.sequences.has(id)) {
      // A beam begins with its parent's tokens.
      unfinished(state, request).sequences.push(id);
      addSequence(state, id, request, parent);
    }
    const child = sequenceOf(state, id);
    check(child.status === "waiting", `it is ${child.status}`);
    const there = Math.min(parent.computed, child.tokens.length);
    check(num_tokens >= 0 && num_tokens <= there, `${there} tokens are in memory`);
    setComputed(state, child, num_tokens);
    child.status = "running";
  },
  SequenceFinished(state, event) {
    const sequence = sequenceOf(state, event.sequence);
    check(sequence.status !== "finished", "it finishes twice");
    sequence.status = "finished";
  },
  SequenceDropped(state, { request, sequence: id }) {
    check(![...sequenceOf(state, id).tables.values()].some((table) => table.length), "it has blocks");
    const { sequences } = unfinished(state, request);
    check(sequences.includes(id) && sequences.length > 1, "it belongs to another request, or is its last");
    sequences.splice(sequences.indexOf(id), 1);
    state.sequences.delete(id);
    state.scheduled = state.scheduled.filter(([sequence]) => sequence !== id);
  },
  TokenAppended(state, event) {
    const { tokens, texts, status } = sequenceOf(state, event.sequence);
    check(event.position === tokens.length, `it has ${tokens.length} tokens`);
    check(status !== "finished", "it has finished");
    tokens.push(event.token);
    texts.push(event.text);
  },
  BlockAllocated(state, event) {
    const pool = poolFor(state, event);
    check(!pool.has(event.block), "the block is handed out twice");
    const block = newBlock(event.group, state.step, [[event.sequence, event.logical]]);
    pool.set(event.block, block);
    setEntry(state, event);
    refill(state, event.tier, block);
  },
  BlockFilled(state, event) {
    blockHeldBy(state, event).hash = event.hash;
  },
  BlockShared(state, event) {
    const block = takenBlock(state, event.tier, event.block);
    check(holderIndex(block, event) < 0, "the sequence already has the block");
    block.holders.push([event.sequence, event.logical]);
    holdersChanged(state, block, event);
    setEntry(state, event);
  },
  BlockCopied(state, event) {
    takenBlock(state, event.tier, event.source);
    takenBlock(state, event.tier, event.target).copied_from = event.source;
  },
  BlockReleased(state, event) {
    const { tier, sequence, logical } = event;
    const block = blockHeldBy(state, event);
    block.holders.splice(holderIndex(block, event), 1);
    holdersChanged(state, block, event);
    const table = must(sequenceOf(state, sequence).tables, event.group, "group");
    check(table[logical], `the table has ${table.length} entries`);
    // After a copy or a swap the entry already names another block. Otherwise tables shrink from their end.
    if (table[logical][0] === tier && table[logical][1] === event.block) {
      check(logical === table.length - 1, "it is dropped from the middle of a table");
      table.pop();
    }
  },
  BlockFreed(state, event) {
    idleBlock(state, event);
    drop(state, event.tier, event.block);
  },
  BlockCached(state, event) {
    const pool = poolFor(state, event);
    // In the host tier also: a free block takes what is evicted from the device.
    if (!pool.has(event.block)) pool.set(event.block, newBlock(event.group, state.step, []));
    const block = idleBlock(state, event);
    block.hash = event.hash;
    block.cached = state.step;
    refill(state, event.tier, block);
  },
  PrefixHit(state, { sequence: id, tokens, resumed }) {
    const sequence = sequenceOf(state, id);
    check(sequence.status !== "finished", "it has finished");
    check(sequence.computed <= tokens && tokens < sequence.tokens.length, `it has ${sequence.tokens.length} tokens, ${sequence.computed} of them in memory`);
    setComputed(state, sequence, tokens);
    if (!resumed) state.counters.hit_tokens += tokens;
  },
  PrefixMissed(state, event) {
    if (!event.resumed) state.counters.missed_tokens += event.tokens;
  },
  BlockEvicted(state, event) {
    const { tier, block, policy, why } = event;
    idleBlock(state, event);
    drop(state, tier, block);
    if (!state.evicted.has(tier)) state.evicted.set(tier, new Map());
    state.evicted.get(tier).set(block, { step: state.step, policy, why });
  },
  PrefixCacheReset(state, event) {
    let cached = 0;
    for (const [tier, blocks] of state.blocks) {
      for (const [id, block] of blocks) {
        block.hash = "";
        if (!block.idle) continue;
        drop(state, tier, id);
        cached += 1;
      }
    }
    check(cached === event.blocks, `${cached} blocks were cached`);
    state.counters.freed += cached;
  },
  SwappedOut: (state, event) => move(state, "device", "host", event, "swapped_out"),
  SwappedIn: (state, event) => move(state, "host", "device", event, "swapped_in"),
}));

/** What an event of a kind counts as one of. */
const COUNTERS_OF = Object.assign({}, ...Object.values(SCHEMA.families));

/** Fold one event (by field names, see `named`) into the state; throws TraceError if it contradicts it. */
export function apply(state, event) {
  const { kind } = event;
  const rule = RULES.get(kind);
  check(rule, "it is of an unknown kind");
  rule(state, event);
  const counter = COUNTERS_OF[kind];
  if (counter) state.counters[counter] += 1;
}
