// Runs that are large in one way or another: what is made of them ends, and is no longer than it may be.
import assert from "node:assert/strict";
import { test } from "node:test";
import { join } from "node:path";

const load = (name) => import(join(process.env.PAGEDVIZ_BROWSER, name));
const { explain } = await load("panels/explain/panel.js");
const { Prefixes, treesOf } = await load("run/prefixes.js");
const { Run } = await load("run/run.js");
const { stateFrom } = await load("run/state.js");

const MANY = 60000;
const block = (hash, holders = []) => ({ group: 0, holders, born: 0, copied_from: -1, hash, cached: holders.length ? -1 : 0, moved_from: -1 });
const stateWith = (blocks, sequences = {}) => stateFrom({ block_size: 2, num_blocks: { device: MANY }, requests: {}, sequences, blocks: { device: blocks }, counters: {}, evicted: {} });

test("a warm cache of contents whose beginnings nobody knows", () => {
  const state = stateWith(Object.fromEntries(Array.from({ length: MANY }, (_, id) => [id, block(`h${id}`)])));
  const { nodes, more } = treesOf(new Prefixes(state), state, 16, 80);
  assert.equal(nodes.length, 80);
  assert.equal(more, MANY - 80);
});

test("a chain that never branches, and whose holders change at every block", () => {
  const length = 20000;
  const table = Array.from({ length }, (_, id) => ["device", id]);
  const sequences = Object.fromEntries([0, 1].map((id) => [id, { id, request: "r", num_prompt: 1, tokens: [], texts: [], computed: 0, status: "running", tables: { 0: id ? [] : table } }]));
  const state = stateWith(Object.fromEntries(table.map(([, id]) => [id, block(`h${id}`, id % 2 ? [[0, id]] : [[0, id], [1, id]])])), sequences);
  const { nodes, more } = treesOf(new Prefixes(state), state, 16, 80);
  assert.deepEqual(nodes.map(({ depth }) => depth), Array.from({ length: 80 }, (_, depth) => depth));
  assert.equal(more, 1);
});

test("a step that takes, fills and gives back tens of thousands of blocks", () => {
  const run = new Run();
  const fields = { BlockAllocated: ["tier", "group", "block", "sequence", "logical", "reason"], BlockReleased: ["tier", "group", "block", "sequence", "logical", "refcount"], RequestAdded: ["request", "sequences", "prompt", "texts", "max_tokens"] };
  const engine = {
    model: "m", block_size: 2, num_device_blocks: MANY, num_host_blocks: 0, groups: [{ layers: [0] }], num_kv_heads: 1, head_dim: 1, dtype: "float32", device: "cpu",
    simulated: true, attention: "none", bytes_per_block: 16, pagedviz: "0.0.0",
  };
  const keyframe = { block_size: 2, num_blocks: { device: MANY }, step: 0, seq: 0, t_us: 0, requests: {}, sequences: {}, blocks: {}, counters: {}, scheduled: [], evicted: {} };
  const events = [["RequestAdded", "r", [0], [1], [], 9]];
  // Every other block of a table that is not in the order of the pool.
  for (let i = 0; i < MANY; i++) events.push(["BlockAllocated", "device", 0, MANY - 1 - i, 0, i, "prefill"]);
  for (let i = MANY - 1; i >= 0; i--) events.push(["BlockReleased", "device", 0, MANY - 1 - i, 0, i, 0]);
  for (const line of [{ format: "pagedviz-trace", version: 2, fields, engine }, { keyframe }, { seq: 0, step: 1, t_us: 0, events }]) run.push(Buffer.from(`${JSON.stringify(line)}\n`));
  const told = Object.fromEntries(explain(run, 1).map(([heading, sentences, more]) => [heading, [sentences, more]]));
  assert.deepEqual(told["Which blocks were taken"], [[`A got blocks 59999, 59998, 59997, 59996, 59995, 59994, 59993, 59992 and ${MANY - 8} more for positions 0–${2 * MANY - 1} (prompt or text so far).`], 0]);
  assert.deepEqual(told["What ended"], [[`A let go of blocks 0, 1, 2, 3, 4, 5, 6, 7 and ${MANY - 8} more.`], 0]);
});

test("blocks of different tiers, of gaps and of layer groups are told apart", () => {
  const run = new Run();
  const fields = { BlockAllocated: ["tier", "group", "block", "sequence", "logical", "reason"] };
  const allocated = [["device", 0, 3, 1, 0], ["host", 0, 3, 1, 1], ["device", 0, 4, 1, 1], ["device", 0, 9, 1, 7], ["device", 1, 5, 1, 0]];
  run.eventsIn = () => allocated.map((values, seq) => ({ seq, step: 1, event: ["BlockAllocated", ...values, "swap_in"] }));
  run.decoder.shapes = new Map(Object.entries(fields));
  run.state = { block_size: 4 };
  run.read = ({ event: [kind, ...values] }) => ({ event: { kind, ...Object.fromEntries(fields[kind].map((name, i) => [name, values[i]])) }, where: {} });
  const [[, sentences]] = explain(run, 1);
  assert.deepEqual(sentences, [
    "B got blocks 3 and 4 for positions 0–7 (swapping in).", "B got block 9 for positions 28–31 (swapping in).", "B got block h3 for positions 4–7 (swapping in).",
    "B got block 5 for positions 0–3 (swapping in, layer group 1).",
  ]);
});
