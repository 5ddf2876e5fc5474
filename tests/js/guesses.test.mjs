// Whether a guess was right: the browser's verdict, in a saved run, is Python's.
import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";

const load = (name) => import(join(process.env.PAGEDVIZ_BROWSER, name));
const { verdictOn } = await load("bar/predict.js");
const { Run } = await load("run/run.js");

const folder = process.env.PAGEDVIZ_CASES;
for (const file of readdirSync(folder).filter((name) => name.endsWith(".pvtrace"))) {
  test(file, () => {
    const run = new Run();
    run.push(readFileSync(join(folder, file)));
    for (const { step, guess, right } of JSON.parse(readFileSync(join(folder, file.replace("pvtrace", "json"))))) {
      assert.equal(verdictOn(run, step, guess), right, `step ${step}: ${JSON.stringify(guess)}`);
    }
  });
}
