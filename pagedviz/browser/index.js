/** The entry for anywidget, the HTML page and the tests. */
import { Decoder, TraceError, named, shapesOf } from "./run/codec.js";
import { mount } from "./dashboard.js";
import { describe, modelName, visible } from "./words/describe.js";
import { Run } from "./run/run.js";
import { apply } from "./run/reducer.js";
import { memoryOf, stateFrom, stateToJSON } from "./run/state.js";
import { linksOf } from "./live/store.js";

/** anywidget's model as a port. */
function portOf(model) {
  return {
    send: (message) => model.send(message),
    onMessage(callback) {
      model.on("msg:custom", callback);
      return () => model.off("msg:custom", callback);
    },
    // Jupyter's widget manager says so when the kernel restarts or is shut down.
    onGone: (callback) => model.on("comm_live_update", callback),
  };
}

function render({ model, el, signal }) {
  const unmount = mount(el, portOf(model), { panels: model.get("_panels") });
  signal?.addEventListener("abort", unmount, { once: true });
  return unmount;
}

export default { render };
export { Decoder, Run, TraceError, apply, describe, linksOf, memoryOf, modelName, mount, named, shapesOf, stateFrom, stateToJSON, visible };
