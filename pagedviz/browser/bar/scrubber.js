/** Moving through the run: first, back, forward, last, play at several speeds, jump by kind of event, and live. */
import { number } from "../words/describe.js";
import { attr, h, pushButton, setText } from "../kit/dom.js";
import { kindOptions } from "./kind_options.js";

/** Steps a second. */
const SPEEDS = [1, 2, 5, 10, 30, 100];

export function createScrubber(store, predict) {
  const range = h("input", {
    type: "range", class: "pv-range", step: "1", "aria-label": "Step that is looked at", "data-testid": "scrubber", oninput: () => store.go(Number(range.value)),
  });
  const button = (name, sign, label, onclick) => pushButton({ title: label, "aria-label": label, "data-testid": name, onclick }, sign);
  const kind = h("select", { class: "pv-select", "aria-label": "Kind of event to jump to", "data-testid": "jump-kind" }, ...kindOptions());
  kind.value = "BlockCopied";
  const speed = h("select", { class: "pv-select", "aria-label": "Speed of play", "data-testid": "speed" }, ...SPEEDS.map((n) => h("option", { value: n }, `${n} steps/s`)));
  speed.value = "5";
  const where = h("span", { class: "pv-fact", "data-testid": "where", role: "status" });
  const live = h("button", { type: "button", class: "pv-toggle", "data-testid": "live", "aria-pressed": "true", onclick: () => store.go(null) }, "LIVE");

  const back = () => store.go(store.step - 1);
  const forward = () => predict.holds(store.step + 1) || store.go(store.step + 1);
  const jump = (direction) => {
    missed = store.goToNext(kind.value, direction) ? "" : `no ${kind.selectedOptions[0].text} ${direction > 0 ? "after" : "before"} this step`;
    store.touch();
  };
  const first = () => store.go(store.run?.firstStep ?? 0);
  const last = () => store.go(null);

  let missed = "";
  let playing = 0;
  /** Play from here, or from the beginning if this is the end; again: stop. */
  function play() {
    if (playing) return halt();
    if (store.isLive) first();
    let due = performance.now();
    const tick = (now) => {
      playing = requestAnimationFrame(tick);
      const steps = Math.floor(((now - due) * Number(speed.value)) / 1000);
      if (steps < 1) return;
      due += (steps * 1000) / Number(speed.value);
      for (let i = 0; i < steps && !store.isLive && playing; i++) {
        if (predict.holds(store.step + 1)) halt();
        else store.go(store.step + 1);
      }
      if (store.isLive) halt();
    };
    playing = requestAnimationFrame(tick);
    store.touch();
  }
  function halt() {
    cancelAnimationFrame(playing);
    playing = 0;
    store.touch();
  }

  const playButton = button("play", "Play", "Play", play);
  const root = h("div", { class: "pv-scrubber", role: "group", "aria-label": "Time travel" },
    button("first", "|◀", "First step (Home)", first), button("back", "◀", "One step back (←)", back), range,
    button("forward", "▶", "One step forward (→)", forward), button("last", "▶|", "Last step (End)", last), live, where,
    h("span", { class: "pv-space" }), playButton, speed,
    button("jump-back", "↞", "Back to the nearest such event (Shift+←)", () => jump(-1)), kind, button("jump-forward", "↠", "On to the next such event (Shift+→)", () => jump(1)), predict.toggle);

  function draw({ run }) {
    if (!run?.state) return;
    attr(range, "min", run.firstStep);
    attr(range, "max", Math.max(run.lastStep, run.firstStep + 1));
    range.disabled = run.lastStep === run.firstStep;
    if (Number(range.value) !== store.step) range.value = String(store.step);
    attr(range, "aria-valuetext", `step ${store.step} of ${run.lastStep}`);
    attr(live, "aria-pressed", store.isLive);
    setText(live, store.feed.status?.live === false ? "END" : "LIVE");
    setText(playButton, playing ? "Halt" : "Play");
    attr(playButton, "aria-label", playing ? "Stop playing (space)" : "Play the run from here (space)");
    if (store.isLive) missed = "";
    setText(where, missed || (store.isLive ? "" : `step ${number(store.at)} of ${number(run.lastStep)}`));
  }
  return { root, draw, back, forward, first, last, jump, play, end: () => cancelAnimationFrame(playing) };
}
