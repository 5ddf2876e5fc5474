/** The colours, labels and sentences that Python reads too. The linker puts the JSON here as a constant. */
import data from "../../figures/theme.json" with { type: "json" };

export const THEME = data;
