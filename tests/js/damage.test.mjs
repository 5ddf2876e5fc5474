// Damaged traces, and sound ones: the browser refuses the line that Python refuses, and stands where Python stands before it.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";

import { assertSameJSON } from "./same.mjs";

const load = (name) => import(join(process.env.PAGEDVIZ_BROWSER, name));
const { TraceError } = await load("run/codec.js");
const { Run } = await load("run/run.js");
const { stateToJSON } = await load("run/state.js");

const cases = readFileSync(join(process.env.PAGEDVIZ_CASES, "cases.jsonl"), "utf8").trimEnd().split("\n").map((line) => JSON.parse(line));

for (const { name, bytes, line, state } of cases) {
  test(name, () => {
    const run = new Run();
    let refused = null;
    try {
      run.push(Buffer.from(bytes, "base64"));
    } catch (error) {
      assert.ok(error instanceof TraceError, error.stack);
      assert.doesNotMatch(error.message, /Cannot read|is not (a function|iterable)/);
      refused = Number(error.message.match(/line (\d+)|$/)[1] ?? 1);
    }
    assert.equal(refused, line);
    assertSameJSON(run.state && stateToJSON(run.state), state);
  });
}
