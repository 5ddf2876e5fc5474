// Every case of a folder: a trace, and what Python made of it.
import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";

import { assertSameJSON } from "./same.mjs";

const load = (name) => import(join(process.env.PAGEDVIZ_BROWSER, name));
const { Decoder } = await load("run/codec.js");
const { Run } = await load("run/run.js");
const { memoryOf, stateToJSON } = await load("run/state.js");

const folder = process.env.PAGEDVIZ_CASES;

for (const file of readdirSync(folder).filter((name) => name.endsWith(".pvtrace"))) {
  test(file, () => {
    const bytes = readFileSync(join(folder, file));
    const expected = JSON.parse(readFileSync(join(folder, file.replace(".pvtrace", ".json"))));
    const run = new Run();
    const decoder = new Decoder();
    const batches = decoder.push(bytes);
    run.push(bytes.subarray(0, bytes.indexOf(10, bytes.indexOf(10) + 1) + 1)); // header and keyframe
    for (const [index, { state, memory }] of expected.states.entries()) {
      run.applyBatch(batches[index]);
      assertSameJSON(stateToJSON(run.state), state, `after batch ${index}`);
      for (const tier in memory ?? {}) assert.deepEqual(memoryOf(run.state, tier), memory[tier], `memory of the ${tier} after batch ${index}`);
    }
    if (expected.refused === null) {
      assert.equal(batches.length, expected.states.length);
    } else {
      assert.throws(() => run.applyBatch(batches[expected.states.length]), new RegExp(`^Error: line ${expected.states.length + 3} is damaged: event ${expected.refused} in step`));
      const sound = expected.states.at(-1)?.state;
      if (sound) assertSameJSON(stateToJSON(run.state), sound, "what is sound up to there stays");
    }
  });
}
