// What Python would be: a port that replays the trace on the page, by hand or by a timer. `window.harness` is for Playwright.
const lines = JSON.parse(document.getElementById("trace").textContent);
const bytes = (text) => new DataView(new TextEncoder().encode(text).buffer);
const sizeOf = (line) => JSON.parse(line).events.length;
const harness = { sent: [], next: 2, seq: 0, commands: 0, state: "running", listeners: new Set(), auto: true, timer: 0, mute: false };
harness.status = () => ({ state: harness.state, step: harness.step ?? 0, message: harness.message ?? "", live: true, commands: harness.commands });
harness.tell = (message, ...texts) => harness.listeners.forEach((listener) => listener(message, texts.map(bytes)));
harness.batch = (count = 1) => {
  const texts = lines.slice(harness.next, harness.next + count);
  const seq = harness.seq;
  for (const text of texts) { harness.seq += sizeOf(text); harness.step = JSON.parse(text).step; }
  harness.next += texts.length;
  if (harness.next >= lines.length && texts.length) harness.state = "finished";
  harness.tell({ type: "batch", seq, next_seq: harness.seq, status: harness.status() }, ...(texts.length ? [texts.join("\n") + "\n"] : []));
};
harness.snapshot = (view) => harness.tell({ type: "snapshot", view, next_seq: harness.seq, status: harness.status() }, lines.slice(0, harness.next).join("\n") + "\n");
harness.all = () => harness.batch(lines.length);
harness.play = (ms) => { clearInterval(harness.timer); harness.timer = setInterval(() => harness.state === "running" && harness.batch(), ms); };
harness.handle = (message) => {
  harness.sent.push(message);
  if (harness.mute) return;
  if (message.cmd === "hello") return harness.snapshot(message.view);
  harness.commands += 1;
  if (message.cmd === "pause") harness.state = "paused";
  if (message.cmd === "resume") harness.state = "running";
  if (message.cmd === "stop") harness.state = "stopped";
  harness.batch(message.cmd === "step" ? 1 : 0);
};
harness.port = {
  send: (message) => queueMicrotask(() => harness.handle(message)),
  onMessage: (callback) => { harness.listeners.add(callback); return () => harness.listeners.delete(callback); },
};
const module = await import(URL.createObjectURL(new Blob([document.getElementById("bundle").textContent], { type: "text/javascript" })));
harness.unmount = module.mount(document.getElementById("here"), harness.port);
window.harness = harness;
