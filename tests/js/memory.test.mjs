// What the cache, the host tier and requests that come and go look like, on a run that has all of it.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";

const load = (name) => import(join(process.env.PAGEDVIZ_BROWSER, name));
const { CellPainter, MODES } = await load("panels/block_map/cells.js");
const { layoutOf, viewOf } = await load("panels/block_map/layout.js");
const { describe, describeBlock, describeEviction } = await load("words/describe.js");
const { piecesOf } = await load("run/lanes.js");
const { describeRequest } = await load("panels/requests/panel.js");
const { Run } = await load("run/run.js");
const { memoryOf } = await load("run/state.js");
const { linksOf } = await load("live/store.js");
const { SCHEMA } = await load("run/schema.js");
const { THEME } = await load("words/theme.js");

const bytes = readFileSync(join(process.env.PAGEDVIZ_CASES, "memory.pvtrace"));
const run = new Run();
run.push(bytes);
const { state } = run;
const all = [...run.backwards()].map((entry) => ({ ...run.read(entry), seq: entry.seq }));

/** The run as it was when `isThere` first held after a batch. */
function runUntil(isThere) {
  const lines = bytes.toString().split("\n");
  const early = new Run();
  for (const line of lines) {
    early.push(Buffer.from(`${line}\n`));
    if (early.state && isThere(early.state)) return early;
  }
  throw new Error("it never was");
}

test("every kind of event happens, belongs to a family and has a sentence without holes", () => {
  const families = Object.values(SCHEMA.families).flatMap(Object.keys);
  const kinds = new Set();
  for (const { event, where } of all) {
    const sentence = describe(event, where);
    kinds.add(event.kind);
    assert.ok(families.includes(event.kind), event.kind);
    assert.doesNotMatch(sentence, /[{}]|undefined|NaN|\?/, sentence);
    assert.match(sentence, /^[A-Z0-9].*\.$/su, sentence);
  }
  assert.deepEqual([...kinds].sort(), Object.keys(run.header.fields).sort());
});

test("the sentences of the cache and the tiers name blocks, policy and bytes", () => {
  const where = { step: 41, block_size: 16 };
  const evicted = { kind: "BlockEvicted", tier: "device", group: 0, block: 17, hash: "00", policy: "lru", why: "least recently used: last used in step 29, of 41 candidates", age: 12 };
  assert.equal(
    describe(evicted, where),
    "Block 17 of the device was evicted by lru after 12 steps: least recently used: last used in step 29, of 41 candidates.",
  );
  const swapped = { kind: "SwappedOut", request: "r3", pairs: [[3, 5], [4, 6]], num_bytes: 2500000, duration_us: 900 };
  assert.equal(describe(swapped, where), "2 blocks of request r3 moved to the host (2.5 MB in 900 µs): 3 › h5 and 4 › h6.");
  assert.match(describe({ ...swapped, kind: "SwappedIn", request: "" }, where), /^2 blocks about to be evicted moved to the device .*: h3 › 5 and h4 › 6\.$/);
  assert.match(describe({ kind: "BlockFreed", tier: "host", group: 0, block: 2 }, where), /^Block h2 is free/);
  const preempted = { kind: "RequestPreempted", request: "r3", mode: "swap", reason: "the pool is full", blocks_freed: 3, tokens_lost: 0 };
  assert.match(describe(preempted, where), /its K and V wait in the host tier\.$/);
  const hit = { kind: "PrefixHit", request: "r3", sequence: 1, blocks: 2, tokens: 32, from_host: 1, resumed: true };
  assert.equal(describe(hit, where), "B of request r3 begins with 32 tokens found in the cache (2 blocks, 1 of them from the host; computed before its preemption).");
});

test("memory adds up in both tiers, in the state and in every row of the history", () => {
  const { history } = run;
  const parts = ["used", "cached", "internal", "free"];
  for (const [tier, count] of state.num_blocks) {
    for (let row = 0; row < history.length; row++) {
      assert.equal(parts.reduce((sum, part) => sum + history.at(`${tier} ${part}`, row), 0), count * state.block_size);
    }
    const memory = memoryOf(state, tier);
    for (const part of parts) assert.equal(history.at(`${tier} ${part}`, history.length - 1), memory[part]);
  }
  for (const name of ["preempted", "copied", "evicted", "swapped_out", "swapped_in"]) {
    const total = Array.from({ length: history.length }, (_, row) => history.at(name, row)).reduce((a, b) => a + b);
    assert.equal(total, state.counters[name], name);
    assert.ok(total > 0, name);
    assert.ok(THEME.marks[name] && THEME.labels[name], name);
  }
});

test("a cached, a moved and an evicted block say so", () => {
  const early = runUntil((now) => [...(now.blocks.get("host") ?? [])].some(([, block]) => block.moved_from >= 0 && block.idle));
  const [id, block] = [...early.state.blocks.get("host")].find(([, found]) => found.moved_from >= 0 && found.idle);
  const text = describeBlock(early.state, "host", id);
  assert.match(text, new RegExp(`^Block ${id} \\(host\\): cached since step ${block.cached}, nobody has it\n`));
  assert.match(text, new RegExp(`moved from device block ${block.moved_from}\n`));
  const [gone, { step, policy }] = [...state.evicted.get("device")][0];
  assert.match(describeBlock(state, "device", gone), new RegExp(`\nlast evicted in step ${step} by ${policy}: `));
});

test("an eviction is explained by what the block held", () => {
  const evictions = all.filter(({ event }) => event.kind === "BlockEvicted");
  let known = 0;
  for (const { event, seq } of evictions) {
    const filled = run.filled(event, seq);
    assert.equal(filled?.hash, event.hash);
    const text = describeEviction(state, event, filled);
    for (const part of [event.policy, event.why, event.hash, `positions ${filled.logical * state.block_size}–`]) assert.ok(text.includes(part), text);
    if (text.includes("“")) known += 1;
  }
  assert.ok(known > 0);
  assert.match(describeEviction(state, evictions[0].event, null), /what it held is not known$/);
});

test("every request has a lane that says what it did, and all its blocks", () => {
  const seen = new Set();
  for (const { name, status, sequences } of state.requests.values()) {
    const lane = run.lanes.byRequest.get(name);
    for (const [, what] of lane) seen.add(what);
    assert.deepEqual(lane.map(([step]) => step), lane.map(([step]) => step).toSorted((a, b) => a - b));
    assert.equal(lane.at(-1)[1] === "", status === "finished");
    assert.match(describeRequest(state, run.lanes, name), new RegExp(`^Request ${name} \\(`));
    const blocks = sequences.flatMap((id) => [...state.sequences.get(id).tables.values()].flat().map(([tier, block]) => `${tier}:${block}`));
    assert.deepEqual([...linksOf(state, { request: name }).blocks].sort(), [...new Set(blocks)].sort());
  }
  assert.deepEqual([...seen].sort(), ["", ...Object.keys(THEME.lanes)].sort());
  assert.equal(linksOf(state, { request: "nobody" }).blocks.size, 0);
});

test("a lane's pieces fill the steps that are asked for", () => {
  const lane = [[3, "waiting"], [5, "prefill"], [6, "decode"], [9, ""]];
  assert.deepEqual(piecesOf(lane, 1, 10), [[1, 2, ""], [3, 2, "waiting"], [5, 1, "prefill"], [6, 3, "decode"], [9, 2, ""]]);
  assert.deepEqual(piecesOf(lane, 7, 8), [[7, 2, "decode"]]);
  assert.deepEqual(piecesOf([], 7, 8), [[7, 2, ""]]);
});

test("cached, moved and evicted cells are told apart without their colour", () => {
  const palette = { ground: [255, 255, 255], text: [0, 0, 0], soft: [90, 90, 90], line: [200, 200, 200], cell: [240, 240, 240] };
  const base = { group: 0, holders: [[0, 0]], born: 1, copied_from: -1, hash: "", cached: -1, moved_from: -1, fill: 4, idle: 0 };
  const looks = { full: base, cached: { ...base, holders: [], cached: 2, idle: 1 }, moved: { ...base, moved_from: 3 } };
  for (const mode of Object.keys(MODES)) {
    const shapes = new Set();
    for (const block of [...Object.values(looks), null]) {
      for (const evicted of [new Map(), new Map([[0, { step: 3, policy: "lru", why: "" }]])]) {
        const view = viewOf(layoutOf(1, 20, 20, 1), { zoom: 1, x: 0, y: 0 });
        let image = null;
        const createImage = (width, height) => (image = { width, height, data: new Uint8ClampedArray(width * height * 4) });
        const here = { step: 4, block_size: 4, blocks: new Map([["host", new Map(block ? [[0, block]] : [])]]), evicted: new Map([["host", evicted]]) };
        new CellPainter(view, palette, createImage).draw(here, "host", mode);
        // Which pixels differ from their left neighbour: the shape, whatever the colours are.
        const pixels = new Uint32Array(image.data.buffer);
        shapes.add([...pixels].map((value, at) => Number(value !== pixels[at - 1])).join(""));
      }
    }
    assert.equal(shapes.size, 8, mode);
  }
});
