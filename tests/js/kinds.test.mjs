// Which events a person's words mean.
import assert from "node:assert/strict";
import { test } from "node:test";
import { join } from "node:path";

const load = (name) => import(join(process.env.PAGEDVIZ_BROWSER, name));
const { describe } = await load("words/describe.js");
const { matcherOf } = await load("words/kinds.js");

const where = { step: 3, block_size: 16 };
const events = {
  copied: { kind: "BlockCopied", tier: "device", group: 0, source: 17, target: 42, sequence: 1 },
  out: { kind: "SwappedOut", request: "r1", pairs: [[42, 3]], num_bytes: 1, duration_us: 1 },
  back: { kind: "SwappedIn", request: "r1", pairs: [[3, 42]], num_bytes: 1, duration_us: 1 },
  shared: { kind: "BlockShared", tier: "device", group: 0, block: 9, sequence: 0, logical: 2, refcount: 2 },
  freed: { kind: "BlockFreed", tier: "host", group: 0, block: 17 },
  token: { kind: "TokenAppended", sequence: 27, position: 2, token: 5, text: " A block 42" },
  forked: { kind: "SequenceForked", request: "r1", parent: 0, child: 1, num_tokens: 3 },
};

const cases = {
  "block 42": ["copied", "out", "back"], "block 17": ["copied"], "frame 17": ["copied"], "h17": ["freed"], "block h3": ["out", "back"], "s3": [],
  "block 2": [], "block 9": ["shared"], "block 4": [],
  "A": ["shared", "forked"], "B": ["copied", "forked"], "AB": ["token"], "r1": ["out", "back", "forked"], "swapp": ["out", "back"], "a fork of": ["forked"], "(": ["out", "back"], "nothing": [],
};
for (const [words, expected] of Object.entries(cases)) {
  test(`“${words}” means ${expected.join(", ") || "none"}`, () => {
    const matches = matcherOf(words);
    assert.deepEqual(Object.keys(events).filter((name) => matches(events[name], () => describe(events[name], where))), expected);
  });
}
