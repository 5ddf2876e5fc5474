// Whether two states say the same. Nearly always their text is one already, which is much sooner known than by looking at each part.
import assert from "node:assert/strict";

/** Fails, and shows where they differ, unless `actual` is `expected` once it is written as JSON. */
export function assertSameJSON(actual, expected, message) {
  const text = JSON.stringify(actual);
  if (text !== JSON.stringify(expected)) assert.deepEqual(JSON.parse(text), expected, message);
}
