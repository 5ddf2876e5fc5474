/** What events say about blocks and who has them: the twin of `pagedviz/trace/rules/blocks.py`. */
import { newBlock, refill, useOf } from "../state.js";
import { check, must, sequenceOf, takenBlock } from "./check.js";

/** The tier's blocks, which may have one of that id. */
export function poolFor(state, { tier, block }) {
  check(block >= 0 && block < must(state.num_blocks, tier, "tier"), "the block is outside its pool");
  if (!state.blocks.has(tier)) state.blocks.set(tier, new Map());
  return state.blocks.get(tier);
}

/** The block, which nobody may have. */
export function idleBlock(state, { tier, block: id }) {
  const block = takenBlock(state, tier, id);
  check(!block.holders.length, "somebody has the block");
  return block;
}

/** The block is free from now on. */
export function drop(state, tier, id) {
  useOf(state, tier).cached -= 1;
  state.blocks.get(tier).delete(id);
}

const holderIndex = (block, event) => block.holders.findIndex(([sequence, logical]) => sequence === event.sequence && logical === event.logical);

/** The block, which the sequence must have as that entry. */
function held(state, event) {
  const block = takenBlock(state, event.tier, event.block);
  check(holderIndex(block, event) >= 0, "the sequence does not have the block");
  return block;
}

/** The holders changed: they must be as many as the event says, and the block is no longer cached. */
function setHolders(state, block, { tier, refcount }) {
  check(block.holders.length === refcount, `the block has ${block.holders.length} holders`);
  block.cached = -1;
  refill(state, tier, block);
}

function setEntry(state, { tier, group, block, sequence, logical }) {
  const { tables, tokens, status } = sequenceOf(state, sequence);
  check(status !== "finished", "it has finished");
  if (!tables.has(group)) tables.set(group, []);
  const table = tables.get(group);
  // What is before it and was not told is absent, as far as the sequence has tokens: no number makes a table long.
  check(logical >= 0 && (logical <= table.length || logical * state.block_size <= tokens.length), `the table has ${table.length} entries`);
  while (table.length < logical) table.push(null);
  table[logical] = [tier, block];
}

export const BLOCKS = {
  BlockAllocated(state, event) {
    const pool = poolFor(state, event);
    check(!pool.has(event.block), "the block is handed out twice");
    const block = newBlock(event.group, state.step, [[event.sequence, event.logical]]);
    pool.set(event.block, block);
    setEntry(state, event);
    refill(state, event.tier, block);
  },
  BlockFilled(state, event) {
    held(state, event).hash = event.hash;
  },
  BlockShared(state, event) {
    const block = takenBlock(state, event.tier, event.block);
    check(holderIndex(block, event) < 0, "the sequence already has the block");
    block.holders.push([event.sequence, event.logical]);
    setHolders(state, block, event);
    setEntry(state, event);
  },
  BlockCopied(state, event) {
    takenBlock(state, event.tier, event.source);
    takenBlock(state, event.tier, event.target).copied_from = event.source;
  },
  BlockReleased(state, event) {
    const { tier, sequence, logical } = event;
    const block = held(state, event);
    block.holders.splice(holderIndex(block, event), 1);
    setHolders(state, block, event);
    const table = must(sequenceOf(state, sequence).tables, event.group, "group");
    check(logical < table.length, `the table has ${table.length} entries`);
    // After a copy or a swap the entry already names another block.
    if (table[logical]?.[0] === tier && table[logical][1] === event.block) {
      table[logical] = null;
      while (table.at(-1) === null) table.pop();
    }
  },
  BlockFreed(state, event) {
    idleBlock(state, event);
    drop(state, event.tier, event.block);
  },
};
