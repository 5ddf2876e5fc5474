/** What is printed of tests that fail: their names, and where what came differs from what should have come. Nothing of tests that pass. */

const MAX_DIFFERENCES = 8;
const MAX_TEXT = 300;
const MAX_LINES = 40;

const isObject = (value) => typeof value === "object" && value !== null;
const cut = (text) => (text.length > MAX_TEXT ? `${text.slice(0, MAX_TEXT)} …` : text);
const linesOf = (message) => message.split("\n").slice(0, MAX_LINES).map(cut);
const told = (value) => cut(value === undefined ? "nothing" : isObject(value) ? JSON.stringify(value) : String(value));

/** Where two values differ, each as a path and both values. @returns {Generator<[string, any, any]>} */
function* differences(actual, expected, path = "") {
  if (Object.is(actual, expected)) return;
  if (!isObject(actual) || !isObject(expected)) {
    yield [path, actual, expected];
    return;
  }
  for (const key of new Set([...Object.keys(actual), ...Object.keys(expected)])) yield* differences(actual[key], expected[key], `${path}.${key}`);
}

function reasonOf(error) {
  const { message = "", actual, expected, stack = "" } = error;
  const place = stack.split("\n").find((line) => line.includes(".test.mjs")) ?? "";
  if (!isObject(actual) || !isObject(expected)) return [...linesOf(message), place];
  const own = /^Expected values to be/.test(message) ? "" : message.split("\n")[0];
  const found = [...differences(actual, expected)];
  const lines = found.slice(0, MAX_DIFFERENCES).map(([path, is, should]) => `${path || "it"} is ${told(is)}, not ${told(should)}`);
  if (found.length > MAX_DIFFERENCES) lines.push(`and ${found.length - MAX_DIFFERENCES} more differences`);
  return [own, ...(lines.length ? lines : linesOf(message)), place].filter(Boolean);
}

export default async function* report(events) {
  for await (const { type, data } of events) {
    if (type === "test:stderr") yield data.message;
    if (type !== "test:fail" || data.details.error.failureType === "subtestsFailed") continue;
    const error = data.details.error.cause ?? data.details.error;
    yield [`not ok: ${data.name}`, ...reasonOf(isObject(error) ? error : { message: String(error) }).map((line) => `  ${line.trimEnd()}`), ""].join("\n");
  }
}
