/** Pause, Step, Resume, Stop, and the line that says how the run is. */
import { attr, h, setText, focusedIn } from "../kit/dom.js";
import { rateText } from "./counters.js";
import { modelName, number } from "../words/describe.js";
import { worded } from "../words/kinds.js";
import { THEME } from "../words/theme.js";
import { labels } from "../words/vocabulary.js";

/** name -> [label, explanation, in which states it can be pressed] */
const COMMANDS = {
  pause: ["Pause", "Stop after the step that is under way", ["running"]],
  step: ["Step", "Run exactly one step", ["paused", "ready", "failed"]],
  resume: ["Resume", "Go on generating", ["paused", "ready", "failed"]],
  stop: ["Stop", "End the run", ["running", "paused", "ready", "failed"]],
};

const DOING = { pause: "pausing…", step: "stepping…", resume: "resuming…", stop: "stopping…" };
const busyText = (cmd) => `kernel busy: a cell is running; the ${cmd === "resume" ? "run goes on" : `${cmd} applies`} when it ends`;

/** What the status line says. @returns {string} */
export function statusText(feed) {
  const { status, pending, busy, error } = feed;
  if (error) return `the trace cannot be followed further: ${error}`;
  if (pending) return busy ? busyText(pending.cmd) : DOING[pending.cmd];
  if (!status) return "waiting for the kernel…";
  const state = THEME.states_of_run[status.state] ?? status.state;
  if (!status.live) return status.message || "recorded run";
  return status.message ? `${state}: ${status.state === "paused" ? worded(status.message) : status.message}` : state;
}

export function createControls(store) {
  const buttons = Object.entries(COMMANDS).map(([cmd, [label, title]]) =>
    h("button", { type: "button", class: `pv-button pv-button-${cmd}`, title, "data-testid": cmd, onclick: () => store.feed.command(cmd) },
      h("i", { class: `pv-icon pv-icon-${cmd}`, "aria-hidden": "true" }), h("span", {}, label)));
  const resumeLabel = buttons[Object.keys(COMMANDS).indexOf("resume")].lastChild;
  const group = h("div", { class: "pv-buttons", role: "group", "aria-label": "Run" }, ...buttons);
  const status = h("span", { class: "pv-status", "data-testid": "status", role: "status", "aria-live": "polite" });
  const model = h("strong", { class: "pv-model" });
  const step = h("span", { class: "pv-fact" });
  const rate = h("span", { class: "pv-fact" });
  const place = h("span", { class: "pv-fact pv-place" });
  const root = h("header", { class: "pv-header" }, model, step, rate, place, h("span", { class: "pv-space" }), group);

  function draw({ state: seen, engine, rate: perSecond }) {
    const { feed } = store;
    setText(model, engine ? modelName(engine) : "pagedviz");
    setText(step, seen ? `step ${number(seen.step)}` : "");
    setText(rate, seen ? `${rateText(perSecond)} tok/s` : "");
    setText(place, engine ? `${engine.device ?? "unknown device"}${engine.simulated ? `: ${labels.tiers.device} (${labels.simulated})` : ""}` : "");
    setText(status, statusText(feed));
    attr(status, "data-busy", feed.busy ? "" : null);
    attr(status, "data-failed", feed.error || feed.status?.state === "failed" ? "" : null);
    group.hidden = feed.status ? !feed.status.live : false;
    // While a command is on its way the run is taken to be where the person sent it.
    const state = { pause: "paused", resume: "running", stop: "stopped" }[feed.pending?.cmd] ?? feed.status?.state;
    const hadFocus = buttons.includes(focusedIn(group));
    Object.values(COMMANDS).forEach(([, , states], i) => {
      buttons[i].disabled = !states.includes(state);
    });
    setText(resumeLabel, state === "ready" ? "Start" : COMMANDS.resume[0]);
    // A button that goes dead must not take the keyboard with it: Pause hands over to Step, Resume to Pause.
    if (hadFocus && focusedIn(group)?.disabled !== false) buttons.find((button) => !button.disabled)?.focus();
  }
  return { root, status, draw };
}
