// Time travel without a page: the state at any step, the store's step, jumps by kind, and what a damaged trace leaves.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";

import { assertSameJSON } from "./same.mjs";

const load = (name) => import(join(process.env.PAGEDVIZ_BROWSER, name));
const { Keyframes } = await load("run/keyframes.js");
const { History } = await load("run/history.js");
const { Run } = await load("run/run.js");
const { copyState, isOver, stateToJSON } = await load("run/state.js");
const { Store, pickOf } = await load("live/store.js");

const bytes = readFileSync(join(process.env.PAGEDVIZ_CASES, "memory.pvtrace"));
const lines = bytes.toString().trimEnd().split("\n");
const json = (state) => JSON.parse(JSON.stringify(stateToJSON(state)));

/** The run, and what its state was after each step. */
function grown() {
  const run = new Run();
  const states = new Map();
  run.push(Buffer.from(`${lines[0]}\n${lines[1]}\n`));
  states.set(run.state.step, json(run.state));
  for (const line of lines.slice(2)) {
    run.push(Buffer.from(`${line}\n`));
    states.set(run.state.step, json(run.state));
  }
  return { run, states };
}
const { run, states } = grown();

test("the state at every step is what it was then, in any order of asking", () => {
  assert.ok(states.size > 20);
  const steps = [...states.keys()];
  for (const step of [...steps, ...steps.toReversed(), ...steps.filter((_, i) => i % 3)]) assertSameJSON(stateToJSON(run.stateAt(step).state), states.get(step), `step ${step}`);
  let near = null;
  for (const step of steps) {
    near = run.stateAt(step, near);
    assertSameJSON(stateToJSON(near.state), states.get(step), `step ${step}, from the one before`);
  }
});

test("a copy of a state has a life of its own, but for what is over", () => {
  const isMixed = (state) => new Set([...state.sequences.values()].map((sequence) => isOver(state, sequence))).size === 2;
  const state = [...states.keys()].map((step) => run.stateAt(step).state).find(isMixed);
  const copy = copyState(state);
  assert.deepEqual(copy, state);
  const before = json(state);
  for (const held of copy.blocks.values()) for (const block of held.values()) Object.assign(block, { hash: "other", fill: -1 }).holders.push([9, 9]);
  const going = [...copy.sequences.values()].filter((sequence) => !isOver(state, sequence));
  assert.ok(going.length && going.length < copy.sequences.size);
  for (const sequence of going) {
    sequence.tokens.push(1);
    for (const table of sequence.tables.values()) table.push(["device", 0]);
  }
  for (const request of copy.requests.values()) if (request.status !== "finished") request.sequences.push(99);
  copy.counters.freed += 1;
  for (const use of copy.use.values()) use.used += 1;
  assert.deepEqual(json(state), before);
});

test("keyframes are kept as the run passes them, and the nearest is found", () => {
  const state = copyState(run.state);
  const frames = new Keyframes({ ...state, seq: 0 });
  for (let count = 1; count <= 40; count++) frames.offer(count, { ...state, seq: count * 4096 });
  assert.ok(frames.kept.length > 10 && frames.kept.length < 30);
  for (const count of [0, 1, 2, 3, 17, 40, 1000]) {
    const [at, found] = frames.before(count);
    assert.ok(at <= count && count - at <= Math.max(2, count - 38));
    assert.equal(found.seq, at * 4096);
  }
});

test("a step's row is its own, or the last before it; what a row says is what happened in its step", () => {
  const { history } = run;
  const steps = [...states.keys()];
  for (const [row, step] of steps.entries()) {
    assert.equal(history.rowOf(step), row);
    assert.equal(history.at("step", row), step);
    const { state, events } = { state: states.get(step), events: run.eventsIn(step).map(({ event: [kind] }) => kind) };
    assert.equal(history.at("tokens", row), events.filter((kind) => kind === "TokenAppended").length, `tokens of step ${step}`);
    assert.equal(history.at("copied", row), events.filter((kind) => kind === "BlockCopied").length, `copies of step ${step}`);
    assert.equal(history.at("device free", row), state.block_size * (state.num_blocks.device - Object.keys(state.blocks.device ?? {}).length));
  }
  const sparse = new History();
  for (const step of [3, 5, 9]) sparse.begin(step);
  assert.deepEqual([0, 3, 4, 5, 8, 9, 100].map((step) => sparse.rowOf(step)), [0, 0, 0, 1, 1, 2, 2]);
  assert.equal(new History().rowOf(7), 0);
});

test("the token rate at a row is that of the steps up to it, and of none after it", () => {
  const history = new History();
  for (const [step, tokens, duration_us] of [[1, 2, 1000], [2, 0, 0], [3, 1, 500], [4, 90, 10]]) {
    history.begin(step);
    for (let i = 0; i < tokens; i++) history.count({ kind: "TokenAppended" });
    if (duration_us) history.count({ kind: "StepFinished", duration_us });
  }
  assert.deepEqual([1, 2, 3, 4].map((step) => history.rate(history.rowOf(step))), [2000, 2000, 2000, (93 * 1e6) / 1510]);
  assert.equal(history.rate(history.rowOf(4), 1), 9e6);
});

test("what a cursor picks is in the tier where it is", () => {
  const inHost = ({ sequences }) => Object.values(sequences).find(({ tables }) => tables[0]?.some(([tier]) => tier === "host"));
  const step = [...states.keys()].find((each) => inHost(states.get(each)));
  const { state } = run.stateAt(step);
  const { id: sequence, tables } = inHost(states.get(step));
  const [[tier, block]] = tables[0];
  assert.equal(tier, "host");
  assert.deepEqual(pickOf(state, { sequence, token: 0 }), { tier, block });
  const logical = tables[0].length - 1;
  assert.deepEqual(pickOf(state, { sequence, group: 0, logical }), { tier: tables[0][logical][0], block: tables[0][logical][1] });
  assert.deepEqual(pickOf(state, { tier: "host", block: 3 }), { tier: "host", block: 3 });
  assert.deepEqual(pickOf(state, { block: 3 }), { tier: "device", block: 3 });
  assert.deepEqual(pickOf(state, { request: "r" }), { request: "r" });
  assert.equal(pickOf(state, { sequence, token: 1e6 }), null);
  assert.equal(pickOf(state, null), null);
});

/** A store that has seen the trace as a view would. */
function storeOf(live = false) {
  let tell = null;
  const store = new Store({ send() {}, onMessage: (callback) => ((tell = callback), () => {}) });
  const give = (type, text, more) => tell({ type, view: store.feed.view, status: { state: "running", live, commands: 0 }, ...more }, [new DataView(new TextEncoder().encode(text).buffer)]);
  give("snapshot", `${lines.slice(0, -3).join("\n")}\n`, { next_seq: JSON.parse(lines.at(-3)).seq });
  return { store, give };
}

test("a view goes to any step and back to live; news do not move it", () => {
  const { store, give } = storeOf(true);
  const { lastStep, firstStep } = store.run;
  assert.ok(store.isLive);
  store.go(lastStep - 5);
  assert.equal(store.step, lastStep - 5);
  assert.deepEqual(json(store.state), states.get(lastStep - 5));
  const { viewVersion } = store;
  const next = JSON.parse(lines.at(-3));
  give("batch", `${lines.at(-3)}\n`, { seq: next.seq, next_seq: next.seq + next.events.length });
  assert.ok(store.run.state.seq > next.seq);
  assert.equal(store.step, lastStep - 5);
  assert.equal(store.viewVersion, viewVersion, "what is seen has not changed");
  store.go(-100);
  assert.equal(store.step, firstStep);
  assert.deepEqual(json(store.state), states.get(firstStep));
  store.go(1e9);
  assert.ok(store.isLive);
  assert.equal(store.state, store.run.state);
});

test("jumps lead to the nearest step with such an event, and nowhere if there is none", () => {
  const { store } = storeOf();
  const stepsWith = (kind) => lines.slice(2, -3).map((line) => JSON.parse(line)).filter(({ events }) => events.some(([name]) => name === kind)).map(({ step }) => step);
  for (const kind of ["BlockCopied", "BlockEvicted", "RequestFinished"]) {
    const steps = [...new Set(stepsWith(kind))];
    assert.ok(steps.length > 1, kind);
    store.go(null);
    const seen = [];
    while (store.goToNext(kind, -1)) seen.unshift(store.step);
    assert.deepEqual(seen, steps.filter((step) => step < store.run.lastStep));
    assert.equal(store.step, steps[0]);
    assert.ok(store.goToNext(kind, 1));
    assert.equal(store.step, steps[1]);
  }
  assert.equal(store.goToNext("NoSuchKind", 1), false);
});

test("a trace that goes wrong keeps what is sound up to there", () => {
  const stepOf = (at) => JSON.parse(lines[at]).step;
  const at = lines.findIndex((_, i) => i > 20 && stepOf(i) > stepOf(i - 1));
  for (const [name, spoil] of Object.entries({
    contradiction: (batch) => batch.events.push(["BlockFreed", "device", 0, 9999]),
    "unknown kind": (batch) => batch.events.unshift(["Nonsense"]),
    gap: (batch) => (batch.seq += 1),
    "a step back": (batch) => (batch.step -= 5),
    "no batch": (batch) => delete batch.events,
  })) {
    const broken = [...lines];
    const batch = JSON.parse(broken[at]);
    spoil(batch);
    broken[at] = JSON.stringify(batch);
    const half = new Run();
    assert.throws(() => half.push(Buffer.from(`${broken.join("\n")}\n`)), { message: /event|line/ }, name);
    assert.equal(half.batches.length, at - 2);
    const step = stepOf(at - 1);
    assert.equal(half.lastStep, step);
    assert.deepEqual(json(half.state), states.get(step), name);
    assert.equal(half.history.at("step", half.history.length - 1), step);
  }
});

test("a refused batch leaves nothing of itself, and the run can go on", () => {
  const [grows, twin] = [new Run(), new Run()];
  for (const each of [grows, twin]) each.push(Buffer.from(`${lines[0]}\n${lines[1]}\n`));
  const kinds = new Set();
  for (const line of lines.slice(2)) {
    const batch = JSON.parse(line);
    for (const [kind] of batch.events) kinds.add(kind);
    // Another batch of the latest step, and one of the next step: all of it is sound but for its last event.
    for (const step of new Set([twin.lastStep, batch.step])) {
      const refused = { ...batch, step, events: [...batch.events, ["BlockFreed", "device", 0, 9999]] };
      assert.throws(() => grows.applyBatch(refused), { message: /event \d+ in step \d+ contradicts/ });
      grows.parsed.clear(); // what was looked up to go back
      assert.deepEqual(grows, twin, `before event ${batch.seq}, in step ${step}`);
    }
    for (const each of [grows, twin]) each.applyBatch({ ...batch, line });
  }
  assert.equal(kinds.size, Object.keys(twin.header.fields).length);
  assert.deepEqual(json(grows.state), json(run.state));
});

test("a first state that cannot be is refused", () => {
  for (const [change, problem] of [
    [{ block_size: 0 }, "the keyframe in line 2 contradicts itself: a block has 0 slots"],
    [{ num_blocks: { device: 2 ** 31 } }, "the keyframe in line 2 contradicts itself: the device pool has 2147483648 blocks"],
    [{ block_size: 1.5 }, "line 2 is damaged: $.keyframe.block_size cannot be 1.5"],
    [{ num_blocks: { device: "8" } }, 'line 2 is damaged: $.keyframe.num_blocks.device cannot be "8"'],
    [{ sequences: { 5: {} } }, "line 2 is damaged: $.keyframe.sequences.5.id cannot be undefined"],
  ]) {
    const half = new Run();
    const keyframe = { ...JSON.parse(lines[1]).keyframe, ...change };
    assert.throws(() => half.push(Buffer.from(`${lines[0]}\n${JSON.stringify({ keyframe })}\n`)), { message: problem });
    assert.equal(half.state, null);
  }
});

test("events are read by step and backwards, whether they are still parsed or not", () => {
  const all = lines.slice(2).flatMap((line) => JSON.parse(line).events);
  assert.deepEqual([...run.backwards()].map(({ event }) => event).reverse(), all);
  run.parsed.clear();
  const { seq } = JSON.parse(lines[10]);
  assert.deepEqual([...run.backwards(seq - 5, seq)].map((entry) => entry.seq), [1, 2, 3, 4, 5].map((i) => seq - i));
  const { step } = JSON.parse(lines[10]);
  const expected = lines.slice(2).map((line) => JSON.parse(line)).filter((batch) => batch.step === step).flatMap(({ events }) => events);
  assert.deepEqual(run.eventsIn(step).map(({ event }) => event), expected);
  assert.deepEqual(run.eventsIn(1e6), []);
});
