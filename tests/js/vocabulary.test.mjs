import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after, test } from "node:test";

const load = (name) => import(join(process.env.PAGEDVIZ_BROWSER, name));
const { describe, describeBlock, describeToken } = await load("words/describe.js");
const { explain } = await load("panels/explain/panel.js");
const { describeRequest } = await load("panels/requests/panel.js");
const { Run } = await load("run/run.js");
const { THEME } = await load("words/theme.js");
const vocabulary = await load("words/vocabulary.js");
const { isOs, say, speak } = vocabulary;

const run = new Run();
run.push(readFileSync(join(process.env.PAGEDVIZ_CASES, "memory.pvtrace")));
const OURS = /\b(blocks?|slots?|sequences?|requests?|device|host|evict\w*|preempt\w*|prefix (hit|cache)|logical)\b/i;

after(() => speak(false));

/** Texts about everything in the run, without what a model wrote. */
function allTexts() {
  const texts = [...run.backwards()].filter(({ event }) => event[0] !== "TokenAppended").map((entry) => run.read(entry)).map(({ event, where }) => describe(event, where));
  for (const [tier, held] of run.state.blocks) for (const id of held.keys()) texts.push(describeBlock(run.state, tier, id));
  for (const id of run.state.sequences.keys()) texts.push(describeToken(run.state, id, 0).replace(/“.*?”/s, ""));
  for (const name of run.state.requests.keys()) texts.push(describeRequest(run.state, run.lanes, name));
  for (let step = 1; step < 20; step++) texts.push(...explain(run, step).flatMap(([heading, sentences]) => [heading, ...sentences]).filter((text) => !text.startsWith("New tokens")));
  return texts;
}

test("everything is said in an operating system's words, and in ours again", () => {
  const ours = allTexts();
  speak(true);
  for (const text of allTexts()) {
    assert.doesNotMatch(text, OURS, text);
    assert.doesNotMatch(text, /[{}?]|undefined|null|NaN|\b(\w+) \1\b|the RAM|the swap space/, text);
  }
  speak(false);
  assert.deepEqual(allTexts(), ours);
});

test("every template and label reads well, also those that this run does not use", () => {
  speak(true);
  assert.ok(isOs());
  const templates = Object.keys(THEME.sentences).map((kind) => [kind, THEME.os.sentences[kind] ?? say(THEME.sentences[kind])]);
  for (const [kind, text] of templates) {
    assert.doesNotMatch(text.replace(/\{\w+\}/g, ""), OURS, text);
    const holes = (template) => [...template.matchAll(/\{\w+\}/g)].map(String).sort();
    assert.deepEqual(holes(text), holes(THEME.sentences[kind]), kind);
  }
  const { labels } = vocabulary;
  for (const text of [...Object.values({ ...labels, tiers: "" }), ...Object.values(labels.tiers), ...Object.values(THEME.kinds).map((kind) => say(kind)), ...THEME.os.notes]) assert.doesNotMatch(String(text), OURS);
  speak(false);
});

test("what a person named and a model wrote is not touched", () => {
  speak(true);
  const where = { step: 3, block_size: 16 };
  const name = "request of the device block {block}";
  assert.equal(describe({ kind: "RequestScheduled", request: name, resumed: false }, where), `Job ${name} runs from this step on.`);
  assert.equal(describe({ kind: "TokenAppended", sequence: 0, position: 4, token: 9, text: " block {request}" }, where), "A got the token “ block {request}” at position 4.");
  const preempted = { kind: "RequestPreempted", request: name, mode: "recompute", blocks_freed: 1, tokens_lost: 7 };
  const reason = `${name} needs 3 blocks, and 1 of 8 are free; because it is a host request`;
  assert.equal(
    describe({ ...preempted, reason }, where),
    `Job ${name} was suspended (recompute): ${name} needs 3 page frames, and 1 of 8 are free; because it is a host request. It gave back 1 page frame; 7 tokens must be computed again, unless still cached when it comes back.`,
  );
  speak(false);
});
