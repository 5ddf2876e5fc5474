/** What events say about cached blocks, and about content that moves between the tiers: the twin of `pagedviz/trace/rules/cache.py`. */
import { newBlock, refill, setComputed } from "../state.js";
import { drop, idleBlock, poolFor } from "./blocks.js";
import { check, must, sequenceOf } from "./check.js";

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

export const CACHE = {
  BlockCached(state, event) {
    const pool = poolFor(state, event);
    // In the host tier also: a free block takes what is evicted from the device.
    if (!pool.has(event.block)) pool.set(event.block, newBlock(event.group, state.step, []));
    const block = idleBlock(state, event);
    block.hash = event.hash;
    block.cached = state.step;
    refill(state, event.tier, block);
  },
  BlockEvicted(state, event) {
    const { tier, block, policy, why } = event;
    idleBlock(state, event);
    drop(state, tier, block);
    if (!state.evicted.has(tier)) state.evicted.set(tier, new Map());
    state.evicted.get(tier).set(block, { step: state.step, policy, why });
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
};
