import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";

const load = (name) => import(join(process.env.PAGEDVIZ_BROWSER, name));
const { describe, describeBlock, describeToken, letterOf, tokenText, visible } = await load("words/describe.js");
const { worded } = await load("words/kinds.js");
const { speak } = await load("words/vocabulary.js");
const { Run } = await load("run/run.js");
const { linksOf } = await load("live/store.js");
const { Decoder, TraceError, named, shapesOf } = await load("run/codec.js");
const { THEME } = await load("words/theme.js");

const bytes = readFileSync(join(process.env.PAGEDVIZ_CASES, "run.pvtrace"));
const run = new Run();
run.push(bytes);

test("sequences have letters as columns of a sheet have", () => {
  assert.deepEqual([0, 1, 25, 26, 27, 701, 702].map(letterOf), ["A", "B", "Z", "AA", "AB", "ZZ", "AAA"]);
});

test("every kind of event has a sentence without holes", () => {
  const kinds = new Set();
  for (const entry of run.backwards()) {
    const { event, where } = run.read(entry);
    const sentence = describe(event, where);
    kinds.add(event.kind);
    assert.doesNotMatch(sentence, /[{}]|undefined|NaN|\?/, sentence);
    assert.match(sentence, /^[A-Z].*\.$/su, sentence);
  }
  for (const kind of Object.keys(run.header.fields)) assert.ok(THEME.sentences[kind], kind);
  for (const kind of ["BlockCopied", "SequenceForked", "BlockShared", "RequestPreempted"]) assert.ok(kinds.has(kind), kind);
});

test("reasons are told in words, and a reason that is called as what every object has is a reason like others", () => {
  const finished = (reason) => describe({ kind: "RequestFinished", request: "r0", reason }, { step: 3, block_size: 16 });
  for (const reason of ["stop", "length", "abort", "error"]) assert.notEqual(finished(reason), `Request r0 finished: ${reason}.`);
  for (const reason of ["constructor", "toString", "__proto__"]) assert.equal(finished(reason), `Request r0 finished: ${reason}.`);
});

test("a request of one sequence is not told of each", () => {
  const added = (sequences) => describe({ kind: "RequestAdded", request: "r0", sequences, prompt: [1], texts: [], max_tokens: 8 }, { step: 1, block_size: 4 });
  assert.equal(added([0]), "Request r0 joined the queue: a prompt of 1 token for sequence A, at most 8 new tokens per sequence.");
  assert.match(added([0, 1]), /for sequences A and B, at most 8 new tokens per sequence\.$/);
});

test("a copy says who shares the block and who is about to write where", () => {
  const event = { kind: "BlockCopied", tier: "device", group: 0, source: 17, target: 42, sequence: 2, logical: 2 };
  assert.equal(
    describe(event, { step: 3, block_size: 16, context: { sharers: [1, 2], position: 35 } }),
    "Block 17 was copied to 42: B and C share it, and C is about to write position 35.",
  );
});

test("a block that comes out of the cache is not also somebody else's", () => {
  const event = { kind: "BlockShared", tier: "device", group: 0, block: 0, sequence: 1, logical: 0, refcount: 1 };
  const where = { step: 3, block_size: 16 };
  assert.equal(describe(event, where), "Block 0 is now logical block 0 of B: its reference count is 1.");
  assert.equal(describe({ ...event, refcount: 2 }, where), "Block 0 is now also logical block 0 of B: its reference count is 2.");
});

test("what a placement says is said in other words too", () => {
  const event = { kind: "BlockEvicted", tier: "device", group: 0, block: 2, hash: "a", policy: "lru", age: 3 };
  const reasons = ["it goes down to the host tier, as all do", "it goes down to the host tier: it was found once", "it is given up: the host tier is full"];
  for (const why of reasons) {
    const text = () => describe({ ...event, why: `oldest; ${why}` }, { step: 3, block_size: 16 });
    assert.match(text(), /the host tier/);
    speak(true);
    const said = text();
    speak(false);
    assert.match(said, /swap space/);
    assert.doesNotMatch(said, /host/);
  }
});

test("a run that stops says why in the words for people", () => {
  const message = "stopped: BlockCopied in step 21 (breakpoint 1); stopped before step 22, which will cause RequestPreempted, SwappedOut (breakpoint 2)";
  assert.equal(worded(message), "stopped: copy-on-write in step 21 (breakpoint 1); stopped before step 22, which will cause a preemption and a swap out (breakpoint 2)");
  speak(true);
  const said = worded("stopped before step 22, which will cause BlockEvicted, RequestPreempted");
  speak(false);
  assert.equal(said, "stopped before step 22, which will cause a page replacement and a suspension");
  assert.equal(worded("MyOwnError in step 3"), "MyOwnError in step 3");
});

test("control and direction characters are made visible, text is not changed otherwise", () => {
  assert.equal(visible("a\nb\u202ec\u0007"), "a⏎b\\u202ec␇");
  assert.equal(visible("<img src=x onerror=alert(1)> 🙂 מים"), "<img src=x onerror=alert(1)> 🙂 מים");
  assert.equal(tokenText("", 7), "#7");
  assert.equal(tokenText("  \n", 7), "␠␠⏎");
});

test("a token, its logical block and its physical block lead to each other, with all holders of a shared block", () => {
  const { state } = run;
  const shared = [...state.blocks.get("device")].find(([, block]) => block.holders.length > 1) ?? [...state.blocks.get("device")][0];
  const [id, block] = shared;
  const byBlock = linksOf(state, { tier: "device", block: id });
  assert.equal(byBlock.entries.size, block.holders.length);
  for (const [sequence, logical] of block.holders) {
    const byToken = linksOf(state, { sequence, token: logical * state.block_size });
    assert.ok(byToken.blocks.has(`device:${id}`));
    assert.equal(byToken.token, `${sequence}:${logical * state.block_size}`);
    const byEntry = linksOf(state, { sequence, group: block.group, logical });
    assert.deepEqual([...byEntry.blocks], [...byBlock.blocks]);
    assert.deepEqual([...byEntry.entries].sort(), [...byBlock.entries].sort());
    assert.deepEqual(byEntry.tokens.get(sequence), [[logical * state.block_size, (logical + 1) * state.block_size]]);
    assert.match(describeToken(state, sequence, logical * state.block_size), new RegExp(`device block ${id}`));
  }
  assert.match(describeBlock(state, "device", id), new RegExp(`^Block ${id} \\(device\\):\\n`));
});

test("pointing at nothing, at a free block or beyond the end lights nothing else", () => {
  assert.equal(linksOf(run.state, null).blocks.size, 0);
  const free = [...Array(24).keys()].find((id) => !run.state.blocks.get("device").has(id));
  assert.deepEqual([...linksOf(run.state, { tier: "device", block: free }).entries], []);
  assert.equal(linksOf(run.state, { sequence: 999, token: 3 }).blocks.size, 0);
});

test("bytes may come in any pieces, and a cut-off last line is not read", () => {
  for (const size of [1, 7, 1000]) {
    const decoder = new Decoder();
    const batches = [];
    for (let at = 0; at < bytes.length - 3; at += size) batches.push(...decoder.push(bytes.subarray(at, Math.min(at + size, bytes.length - 3))));
    assert.equal(batches.length, run.batches.length - 1);
  }
});

test("what is no trace, a newer trace or a damaged one is an error of ours", () => {
  const read = (text) => new Run().push(new TextEncoder().encode(text));
  assert.throws(() => read("hello\n"), TraceError);
  assert.throws(() => read("null\n"), TraceError);
  assert.throws(() => read('{"format":"pagedviz-trace","version":4}\n'), /update pagedviz/);
  const [header, keyframe] = bytes.toString().split("\n");
  for (const line of ["7", "null", "{}", "[1]", '{"seq":0,"step":0,"events":5}']) assert.throws(() => read(`${header}\n${keyframe}\n${line}\n`), TraceError, line);
  const fields = shapesOf(JSON.parse(header).fields);
  assert.throws(() => named(["Nonsense"], fields), /unknown kind/);
  assert.throws(() => named(["BlockFreed", "device", 0], fields), /BlockFreed has a wrong block: undefined$/);
  assert.throws(() => named(["BlockFreed", "device", 0, "x"], fields), /wrong block/);
  assert.throws(() => named(["BlockFreed", 1, 0, 0], fields), /wrong tier/);
  assert.throws(() => named(["BlockFreed", "device", 0, 2 ** 53], fields), /BlockFreed has a wrong block: 9007199254740992$/);
  assert.throws(() => named(["SwappedOut", "r0", [[1, -(2 ** 53)]], 0, 0], fields), /wrong pairs/);
  assert.throws(() => named(["RequestAdded", "r0", [0], [1, "<b>"], [], 1], fields), /RequestAdded has a wrong prompt: \[1,"<b>"\]$/);
});

test("the bundle has what anywidget and pages take", async () => {
  const bundle = await import(join(process.env.PAGEDVIZ_CASES, "bundle.mjs"));
  assert.equal(typeof bundle.default.render, "function");
  assert.equal(typeof bundle.mount, "function");
});
