/** What each kind of event means: the twin of `pagedviz/trace/rules`. Same contradictions. */
import { TraceError } from "./codec.js";
import { blockOf, newBlock, refill, useOf } from "./state.js";

/** Contradiction: the event cannot have happened in this state. */
function refuse(reason) {
  throw new TraceError(reason);
}

const must = (map, key, what) => map?.get(key) ?? refuse(`it names ${what} ${key}, which does not exist`);
const requestOf = (state, name) => must(state.requests, name, "request");
const sequenceOf = (state, id) => must(state.sequences, id, "sequence");
const tierOf = (state, tier) => must(state.blocks, tier, "tier");
const takenBlock = (state, tier, id) => must(tierOf(state, tier), id, "block");

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

function setEntry(state, { tier, group, block, sequence, logical }) {
  const { tables } = sequenceOf(state, sequence);
  if (!tables.has(group)) tables.set(group, []);
  const table = tables.get(group);
  if (logical < 0 || logical > table.length) refuse(`entry ${logical} is set in a table of ${table.length}`);
  table[logical] = [tier, block];
}

/** The holders changed: they must be as many as the event says, and the block is no longer cached. */
function holdersChanged(state, block, { tier, block: id, refcount }) {
  if (block.holders.length !== refcount) refuse(`block ${id} has ${block.holders.length} holders, not ${refcount}`);
  block.cached = -1;
  refill(state, tier, block);
}

const holderIndex = (block, event) => block.holders.findIndex(([sequence, logical]) => sequence === event.sequence && logical === event.logical);

/** The block, which the sequence must have as that entry. */
function blockHeldBy(state, event) {
  const block = takenBlock(state, event.tier, event.block);
  if (holderIndex(block, event) < 0) refuse(`block ${event.block} is not entry ${event.logical} of sequence ${event.sequence}`);
  return block;
}

/** The tier's blocks, which may have one of that id. */
function poolFor(state, { tier, block }) {
  const pool = must(state.num_blocks, tier, "tier");
  if (!(block >= 0 && block < pool)) refuse(`block ${block} is outside the ${tier} pool of ${pool}`);
  if (!state.blocks.has(tier)) state.blocks.set(tier, new Map());
  return state.blocks.get(tier);
}

/** The block, which nobody may have. */
function idleBlock(state, { tier, block: id }, what) {
  const block = takenBlock(state, tier, id);
  if (block.holders.length) refuse(`block ${id} is ${what} while somebody has it`);
  return block;
}

function drop(state, tier, id) {
  useOf(state, tier).cached -= 1;
  state.blocks.get(tier).delete(id);
}

function move(state, from, to, { pairs, num_bytes }, counter) {
  for (const [source, target] of pairs) {
    const { hash } = takenBlock(state, from, source);
    Object.assign(takenBlock(state, to, target), { hash, moved_from: source });
  }
  state.counters.swapped_bytes += num_bytes;
  state.counters[counter] += pairs.length;
}

const RULES = {
  StepStarted(state, event) {
    state.scheduled = event.scheduled;
  },
  StepFinished(state, event) {
    for (const [id, start, count] of state.scheduled) {
      const sequence = sequenceOf(state, id);
      const { length } = sequence.tokens;
      if (!(start >= 0 && count >= 0 && start + count <= length)) refuse(`${count} tokens from ${start} on are computed of ${length}`);
      if (sequence.status === "running") setComputed(state, sequence, start + count);
    }
    state.counters.prefill_tokens += event.prefill_tokens;
    state.counters.decode_tokens += event.decode_tokens;
  },
  KernelLaunched() {},
  RequestAdded(state, { request, sequences, prompt, texts, max_tokens }) {
    const num_prompt = prompt.length;
    if (state.requests.has(request)) refuse(`request ${request} is added twice`);
    if (!texts.length) texts = prompt.map(() => "");
    if (texts.length !== num_prompt) refuse(`${num_prompt} prompt tokens have ${texts.length} texts`);
    for (const id of sequences) {
      if (state.sequences.has(id)) refuse(`sequence ${id} is added twice`);
      state.sequences.set(id, { id, request, num_prompt, tokens: [...prompt], texts: [...texts], computed: 0, status: "waiting", tables: new Map() });
    }
    state.requests.set(request, { name: request, sequences: [...sequences], num_prompt, max_tokens, status: "waiting", reason: "", preemptions: 0 });
  },
  RequestScheduled(state, event) {
    const request = requestOf(state, event.request);
    const was = request.status;
    if (!["waiting", "preempted", "swapped"].includes(was)) refuse(`request ${event.request} is ${was}, not waiting`);
    request.status = "running";
    // A request begins with one sequence; the others fork from it when the prompt is in memory. A swapped one goes on with all.
    const sequences = request.sequences.map((id) => sequenceOf(state, id)).filter(({ status }) => status === (was === "swapped" ? was : "waiting"));
    for (const sequence of was === "swapped" ? sequences : sequences.slice(0, 1)) sequence.status = "running";
  },
  RequestPreempted(state, event) {
    const request = requestOf(state, event.request);
    if (request.status !== "running") refuse(`request ${event.request} is ${request.status}, not running`);
    const swaps = event.mode === "swap";
    request.status = swaps ? "swapped" : "preempted";
    request.preemptions += 1;
    state.counters.preempted += 1;
    state.counters.lost_tokens += event.tokens_lost;
    for (const id of request.sequences) {
      const sequence = sequenceOf(state, id);
      if (!swaps) setComputed(state, sequence, 0);
      if (sequence.status === "running") sequence.status = swaps ? "swapped" : "waiting";
    }
  },
  RequestFinished(state, event) {
    const request = requestOf(state, event.request);
    if (request.status === "finished") refuse(`request ${event.request} finishes twice`);
    request.status = "finished";
    request.reason = event.reason;
    state.counters.finished += 1;
  },
  SequenceForked(state, { request, parent: from, child: id, num_tokens }) {
    const parent = sequenceOf(state, from);
    if (!state.sequences.has(id)) {
      // A beam begins with its parent's tokens.
      requestOf(state, request).sequences.push(id);
      const { num_prompt, tokens, texts } = parent;
      state.sequences.set(id, { id, request, num_prompt, tokens: [...tokens], texts: [...texts], computed: 0, status: "waiting", tables: new Map() });
    }
    const child = sequenceOf(state, id);
    if (child.status !== "waiting") refuse(`sequence ${id} is ${child.status}, not waiting`);
    const there = Math.min(parent.computed, child.tokens.length);
    if (!(num_tokens >= 0 && num_tokens <= there)) refuse(`${num_tokens} tokens are shared of ${there} in memory`);
    setComputed(state, child, num_tokens);
    child.status = "running";
  },
  SequenceFinished(state, event) {
    const sequence = sequenceOf(state, event.sequence);
    if (sequence.status === "finished") refuse(`sequence ${event.sequence} finishes twice`);
    sequence.status = "finished";
  },
  SequenceDropped(state, { request, sequence: id }) {
    if ([...sequenceOf(state, id).tables.values()].some((table) => table.length)) refuse(`sequence ${id} is dropped while it has blocks`);
    const { sequences } = requestOf(state, request);
    if (!sequences.includes(id)) refuse(`sequence ${id} is not of request ${request}`);
    sequences.splice(sequences.indexOf(id), 1);
    state.sequences.delete(id);
    state.scheduled = state.scheduled.filter(([sequence]) => sequence !== id);
  },
  TokenAppended(state, event) {
    const sequence = sequenceOf(state, event.sequence);
    if (event.position !== sequence.tokens.length) refuse(`position ${event.position} follows ${sequence.tokens.length} tokens`);
    if (sequence.status === "finished") refuse(`sequence ${event.sequence} has finished`);
    sequence.tokens.push(event.token);
    sequence.texts.push(event.text);
  },
  BlockAllocated(state, event) {
    const pool = poolFor(state, event);
    if (pool.has(event.block)) refuse(`block ${event.block} is handed out twice`);
    const block = newBlock(event.group, state.step, [[event.sequence, event.logical]]);
    pool.set(event.block, block);
    setEntry(state, event);
    refill(state, event.tier, block);
    state.counters.allocated += 1;
  },
  BlockFilled(state, event) {
    blockHeldBy(state, event).hash = event.hash;
    state.counters.filled += 1;
  },
  BlockShared(state, event) {
    const block = takenBlock(state, event.tier, event.block);
    if (holderIndex(block, event) >= 0) refuse(`sequence ${event.sequence} already has block ${event.block}`);
    block.holders.push([event.sequence, event.logical]);
    holdersChanged(state, block, event);
    setEntry(state, event);
    state.counters.shared += 1;
  },
  BlockCopied(state, event) {
    if (!tierOf(state, event.tier).has(event.source)) refuse(`block ${event.source} is copied while nobody has it`);
    takenBlock(state, event.tier, event.target).copied_from = event.source;
    state.counters.copied += 1;
  },
  BlockReleased(state, event) {
    const { tier, sequence, logical } = event;
    const block = blockHeldBy(state, event);
    block.holders.splice(holderIndex(block, event), 1);
    holdersChanged(state, block, event);
    const table = must(sequenceOf(state, sequence).tables, event.group, "group");
    if (!table[logical]) refuse(`entry ${logical} is outside a table of ${table.length}`);
    // After a copy or a swap the entry already names another block. Otherwise tables shrink from their end.
    if (table[logical][0] === tier && table[logical][1] === event.block) {
      if (logical !== table.length - 1) refuse(`entry ${logical} of ${table.length} is dropped from the middle of a table`);
      table.pop();
    }
  },
  BlockFreed(state, event) {
    idleBlock(state, event, "freed");
    drop(state, event.tier, event.block);
    state.counters.freed += 1;
  },
  BlockCached(state, event) {
    const pool = poolFor(state, event);
    // In the host tier also: a free block takes what is evicted from the device.
    if (!pool.has(event.block)) pool.set(event.block, newBlock(event.group, state.step, []));
    const block = idleBlock(state, event, "cached");
    block.hash = event.hash;
    block.cached = state.step;
    refill(state, event.tier, block);
    state.counters.cached += 1;
  },
  PrefixHit(state, { sequence: id, tokens, resumed }) {
    const sequence = sequenceOf(state, id);
    const { computed, tokens: { length } } = sequence;
    if (!(computed <= tokens && tokens < length)) refuse(`${tokens} of ${length} tokens are found, ${computed} are there`);
    setComputed(state, sequence, tokens);
    if (!resumed) state.counters.hit_tokens += tokens;
  },
  PrefixMissed(state, event) {
    if (!event.resumed) state.counters.missed_tokens += event.tokens;
  },
  BlockEvicted(state, event) {
    const { tier, block, policy, why } = event;
    idleBlock(state, event, "evicted");
    drop(state, tier, block);
    if (!state.evicted.has(tier)) state.evicted.set(tier, new Map());
    state.evicted.get(tier).set(block, { step: state.step, policy, why });
    state.counters.evicted += 1;
  },
  PrefixCacheReset(state, event) {
    let cached = 0;
    for (const [tier, blocks] of state.blocks) {
      for (const [id, block] of blocks) {
        block.hash = "";
        if (block.idle) {
          drop(state, tier, id);
          cached += 1;
        }
      }
    }
    if (cached !== event.blocks) refuse(`${cached} blocks were cached, not ${event.blocks}`);
    state.counters.freed += cached;
  },
  SwappedOut: (state, event) => move(state, "device", "host", event, "swapped_out"),
  SwappedIn: (state, event) => move(state, "host", "device", event, "swapped_in"),
};

/** Fold one event (by field names, see `named`) into the state; throws TraceError if it contradicts it. */
export function apply(state, event) {
  const rule = RULES[event.kind];
  if (!rule) refuse(`unknown kind of event: ${event.kind}`);
  rule(state, event);
}
