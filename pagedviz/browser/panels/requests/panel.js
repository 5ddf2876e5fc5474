/** The requests: a lane each, coloured and lettered by what it did in the latest steps, and its status in words. */
import { badge, h, isDark, legendItem, parseHex, setLegend, setText } from "../../kit/dom.js";
import { letterOf, plural, range } from "../../words/describe.js";
import { arrange, keepReachable, pointing } from "../../kit/items.js";
import { piecesOf } from "../../run/lanes.js";
import { THEME } from "../../words/theme.js";
import { labels, say } from "../../words/vocabulary.js";

const MAX_LANES = 24;
const STEPS = 40;
const letter = (what) => what[0].toUpperCase();

function statusOf({ status, reason }, lane, step) {
  if (status === "finished") return `finished: ${reason}`;
  return status === "preempted" ? say("preempted, waiting") : labels[lane.findLast(([since]) => since <= step)?.[1]] ?? status;
}

/** Everything about one request; one fact a line. */
export function describeRequest(state, lanes, name, to = state.step) {
  const request = state.requests.get(name);
  if (!request) return "";
  const lane = lanes.byRequest.get(name) ?? [];
  const lines = [say`Request ${name} (${request.sequences.map(letterOf).join(", ")}): ${statusOf(request, lane, state.step)}`];
  for (const [first, steps, what] of piecesOf(lane, 0, to).slice(-8)) if (what) lines.push(`${steps > 1 ? "steps" : "step"} ${range(first, steps)}: ${labels[what]}`);
  if (request.preemptions) lines.push(say`preempted ${plural(request.preemptions, "time")}`);
  return lines.join("\n");
}

function createLane(request) {
  const track = h("span", { class: "pv-track", "aria-hidden": "true" });
  const status = h("span", { class: "pv-row-status" });
  const root = h("div", { class: "pv-lane", role: "button", tabindex: "-1", "data-request": request.name },
    h("span", { class: "pv-lane-name" }, badge(request.sequences[0]), ` ${request.name}`), track, status);
  let shown = "";

  function draw(found, lane, from, to, step) {
    setText(status, statusOf(found, lane, step));
    // What comes after the step that is looked at is not known yet.
    const pieces = [...piecesOf(lane, from, step), [step + 1, to - step, ""]];
    if (shown === (shown = pieces.join())) return;
    track.replaceChildren(...pieces.map(([, steps, what]) => {
      const piece = h("i", { "data-lane": what, class: what && `pv-lane-${what}` }, what && letter(what));
      piece.style.flexGrow = steps;
      if (what) Object.assign(piece.style, { backgroundColor: THEME.lanes[what], color: isDark(parseHex(THEME.lanes[what])) ? "#fff" : "#111" });
      return piece;
    }));
  }
  return { root, draw };
}

export function create(view, store, tooltip) {
  const rows = h("div", { class: "pv-lanes" });
  const more = h("p", { class: "pv-more" });
  view.body.append(rows, more);
  /** @type {Map<string, ReturnType<typeof createLane>>} */
  const byName = new Map();
  pointing(rows, ".pv-lane", store, tooltip, {
    cursorOf: (lane) => ({ request: lane.dataset.request }),
    textOf: (lane) => describeRequest(store.state, store.run.lanes, lane.dataset.request),
  });

  function draw({ run: { lanes, firstStep }, state }) {
    const all = [...state.requests.values()];
    const open = all.filter(({ status }) => status !== "finished").slice(0, MAX_LANES);
    const ended = all.filter(({ status }) => status === "finished");
    const wanted = [...open, ...ended.reverse().slice(0, MAX_LANES - open.length)];
    const from = Math.max(firstStep, state.step - STEPS + 1);
    arrange(rows, byName, wanted.map(({ name }) => name), (_, at) => createLane(wanted[at]));
    for (const request of wanted) byName.get(request.name).draw(request, lanes.byRequest.get(request.name) ?? [], from, Math.max(state.step, from + STEPS - 1), state.step);
    keepReachable(rows, ".pv-lane");
    setText(more, all.length > wanted.length ? say`and ${all.length - wanted.length} more requests` : "");
    setText(view.note, all.length ? `steps ${range(from, state.step - from + 1)}` : say("No request yet."));
    setLegend(view.legend, "all", () => Object.entries(THEME.lanes).map(([what, colour]) => legendItem(`${letter(what)} ${labels[what]}`, { colour, swatch: `pv-lane-${what}` })));
  }
  return { draw, hasCursor: false };
}
