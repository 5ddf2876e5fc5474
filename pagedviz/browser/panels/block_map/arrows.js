/** Arrows over the block map: where blocks moved between the tiers in the latest steps. They stand still, so that they can be read. */
import { css, fit, mix, parseHex } from "../../kit/dom.js";
import { THEME } from "../../words/theme.js";

/** For how many steps a move is drawn, and how many arrows at most. */
const ARROW_STEPS = 3;
const MAX_ARROWS = 64;

/** Draw a line from where each block was, in the other tier, to where it is. @returns {number} how many there are */
export function drawArrows(canvas, maps, { state, palette, ratio }) {
  const { offsetWidth: width, offsetHeight: height } = canvas.parentElement;
  const context = fit(canvas, width, height, ratio);
  if (maps.size < 2 || !(state.counters.swapped_out + state.counters.swapped_in)) return 0;
  let count = 0;
  for (const [tier, other] of [["host", "device"], ["device", "host"]]) {
    for (const [id, { moved_from: source, born }] of state.blocks.get(tier) ?? []) {
      if (source < 0 || state.step - born >= ARROW_STEPS || count >= MAX_ARROWS) continue;
      const [x, y, isFromSeen] = maps.get(other).placeOf(source);
      const [toX, toY, isToSeen] = maps.get(tier).placeOf(id);
      if (!isFromSeen && !isToSeen) continue;
      count += 1;
      const angle = Math.atan2(toY - y, toX - x);
      const head = (turn) => context.lineTo(toX - 9 * Math.cos(angle + turn), toY - 9 * Math.sin(angle + turn));
      context.globalAlpha = 1 - (state.step - born) / (ARROW_STEPS + 1);
      context.beginPath();
      context.arc(x, y, 3, 0, 7);
      context.moveTo(x, y);
      context.lineTo(toX, toY);
      head(0.4);
      context.moveTo(toX, toY);
      head(-0.4);
      for (const [colour, thickness] of [[css(palette.ground), 4], [css(mix(parseHex(THEME.marks[tier === "host" ? "swapped_out" : "swapped_in"]), palette.text, 0.3)), 2]]) {
        context.strokeStyle = colour;
        context.lineWidth = thickness;
        context.stroke();
      }
    }
  }
  return count;
}
