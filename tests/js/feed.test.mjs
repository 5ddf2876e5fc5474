// The wire's rules, against a port whose other end is this file.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { mock, test } from "node:test";

const { Feed } = await import(join(process.env.PAGEDVIZ_BROWSER, "live/feed.js"));
const lines = readFileSync(join(process.env.PAGEDVIZ_CASES, "run.pvtrace"), "utf8").trimEnd().split("\n");
const view = (text) => new DataView(new TextEncoder().encode(text).buffer);
const endOf = (line) => JSON.parse(line).seq + JSON.parse(line).events.length;

function connect() {
  const sent = [];
  let tell = null;
  const port = { send: (message) => sent.push(message), onMessage: (callback) => ((tell = callback), () => (tell = null)) };
  const feed = new Feed(port, () => {});
  const status = (state, commands = 0, step = 0) => ({ state, step, message: "", live: true, commands });
  return {
    feed, sent, status,
    snapshot(count, who = feed.view, state = status("running")) {
      tell({ type: "snapshot", view: who, next_seq: count ? endOf(lines[1 + count]) : 0, status: state }, [view(`${lines.slice(0, 2 + count).join("\n")}\n`)]);
    },
    batch(from, to, state = status("running")) {
      const part = lines.slice(2 + from, 2 + to);
      const seq = from ? endOf(lines[1 + from]) : 0;
      tell({ type: "batch", seq, next_seq: part.length ? endOf(part.at(-1)) : seq, status: state }, part.length ? [view(`${part.join("\n")}\n`)] : []);
    },
  };
}

test("a view greets, takes its snapshot and then batches", () => {
  const { feed, sent, snapshot, batch } = connect();
  assert.deepEqual(sent, [{ cmd: "hello", view: feed.view }]);
  batch(0, 2); // before the snapshot: not for us
  assert.equal(feed.run, null);
  snapshot(3, "somebody else");
  assert.equal(feed.run, null);
  snapshot(3);
  batch(3, 5);
  assert.equal(feed.run.batches.length, 5);
  assert.equal(feed.run.seq, endOf(lines[6]));
  batch(3, 5); // again: old
  assert.equal(feed.run.batches.length, 5);
  assert.equal(sent.length, 1);
});

test("a gap asks for a snapshot once, ignores batches until it comes, and heals", () => {
  const { feed, sent, snapshot, batch } = connect();
  snapshot(2);
  batch(4, 5);
  batch(5, 6);
  assert.equal(sent.filter(({ cmd }) => cmd === "hello").length, 2);
  assert.equal(feed.run.batches.length, 2);
  snapshot(6);
  batch(6, 7);
  assert.equal(feed.run.batches.length, 7);
  assert.equal(feed.error, "");
});

test("pause freezes at once, holds batches back, and shows the paused step with the answer", () => {
  const { feed, sent, status, snapshot, batch } = connect();
  snapshot(2, feed.view, status("running", 4));
  feed.command("pause");
  assert.equal(sent.at(-1).cmd, "pause");
  assert.ok(feed.frozen);
  batch(2, 3, status("running", 4));
  batch(3, 4, status("paused", 4)); // an old pause, before ours was taken
  assert.equal(feed.run.batches.length, 2);
  batch(4, 5, status("paused", 5));
  assert.ok(!feed.frozen);
  assert.equal(feed.run.batches.length, 5);
  assert.equal(feed.status.state, "paused");
  feed.end();
});

test("a run that ends while it is being paused shows its end", () => {
  const { feed, status, snapshot, batch } = connect();
  snapshot(2);
  feed.command("pause");
  batch(2, 4, status("finished"));
  assert.equal(feed.status.state, "finished");
  assert.equal(feed.run.batches.length, 4);
  feed.end();
});

test("resume before the answer lets the view go on", () => {
  const { feed, status, snapshot, batch } = connect();
  snapshot(1);
  feed.command("pause");
  batch(1, 3);
  feed.command("resume");
  assert.equal(feed.run.batches.length, 3);
  batch(3, 4, status("running", 2));
  assert.equal(feed.pending, null);
  feed.end();
});

test("an unanswered command says after half a second that the kernel is busy", () => {
  mock.timers.enable({ apis: ["setTimeout"] });
  const { feed, status, snapshot, batch } = connect();
  snapshot(1);
  feed.command("pause");
  mock.timers.tick(499);
  assert.ok(!feed.busy);
  mock.timers.tick(2);
  assert.ok(feed.busy && feed.frozen);
  batch(1, 2, status("paused", 1));
  assert.ok(!feed.busy);
  mock.timers.reset();
});

test("a gap while frozen is healed by a snapshot that waits for the answer too", () => {
  const { feed, status, snapshot, batch } = connect();
  snapshot(1);
  feed.command("pause");
  batch(3, 4);
  snapshot(5);
  assert.equal(feed.run.batches.length, 1);
  batch(5, 5, status("paused", 1));
  assert.equal(feed.run.batches.length, 5);
  feed.end();
});

test("damaged bytes stop the view with a sentence and leave what is sound; a new snapshot starts over", () => {
  const { feed, snapshot, batch } = connect();
  snapshot(3);
  const good = lines[2 + 3];
  lines[2 + 3] = good.replace(/"events":\[.*/, '"events":[["BlockFreed","device",0,23]]}');
  batch(3, 4);
  lines[2 + 3] = good;
  assert.match(feed.error, /^line 6 is damaged: event \d+ in step \d+ contradicts .* \(\["BlockFreed","device",0,23\]\)$/);
  assert.equal(feed.run.batches.length, 3);
  snapshot(4);
  assert.equal(feed.error, "");
});
