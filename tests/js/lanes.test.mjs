// What every request did when: the same as Python says, for every case of a folder.
import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";

const load = (name) => import(join(process.env.PAGEDVIZ_BROWSER, name));
const { piecesOf } = await load("run/lanes.js");
const { Run } = await load("run/run.js");
const folder = process.env.PAGEDVIZ_CASES;

for (const file of readdirSync(folder).filter((name) => name.endsWith(".pvtrace"))) {
  test(file, () => {
    const run = new Run();
    run.push(readFileSync(join(folder, file)));
    const expected = JSON.parse(readFileSync(join(folder, file.replace(".pvtrace", ".json"))));
    const found = [...run.lanes.byRequest].map(([name, lane]) => [name, piecesOf(lane, 0, run.lastStep).filter(([, , what]) => what).map(([first, steps, what]) => [what, first, first + steps - 1])]);
    assert.deepEqual(Object.fromEntries(found), expected);
  });
}
