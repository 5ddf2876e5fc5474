/** What kinds of events there are, as `pagedviz/events/records.py` says; `make bundle` writes the JSON. The linker puts it here as a constant. */
import data from "./schema.json" with { type: "json" };

export const SCHEMA = data;
