/** The kinds of events as the options of a select. */
import { h } from "../kit/dom.js";
import { FAMILIES, kindName } from "../words/kinds.js";
import { say } from "../words/vocabulary.js";

/** For a select, all kinds but the engine's own, by family. @param {(kind: string) => string} valueOf */
export const kindOptions = (valueOf = (kind) => kind) =>
  FAMILIES.slice(1).map(([family, kinds]) => h("optgroup", { label: say(family) }, ...kinds.map((kind) => h("option", { value: valueOf(kind) }, kindName(kind)))));
