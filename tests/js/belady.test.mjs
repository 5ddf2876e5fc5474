// When the content of each cached block is asked for next, as Python works it out from the whole trace.
import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";

const load = (name) => import(join(process.env.PAGEDVIZ_BROWSER, name));
const { beladyChoice, futureOf } = await load("run/belady.js");
const { Run } = await load("run/run.js");

const folder = process.env.PAGEDVIZ_CASES;
for (const file of readdirSync(folder).filter((name) => name.endsWith(".pvtrace"))) {
  test(file, () => {
    const run = new Run();
    run.push(readFileSync(join(folder, file)));
    const expected = JSON.parse(readFileSync(join(folder, file.replace("pvtrace", "json"))));
    for (let step = run.firstStep + 1; step <= run.lastStep; step++) {
      const future = futureOf(run, step);
      assert.deepEqual(future && Object.fromEntries(future.needed), expected[step] ?? null, `step ${step}`);
      if (!future) continue;
      assert.ok(future.isWhole);
      const choice = beladyChoice(run, step);
      for (const at of future.needed.values()) assert.ok(choice.step === null || (at !== null && at <= choice.step));
      assert.equal(future.needed.get(choice.block), choice.step);
    }
  });
}
