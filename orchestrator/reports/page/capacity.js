// What a pair carries, where that was searched.

import { figure, isNumber, table } from "./panels.js";
import { map } from "./plots.js";

export function capacity({ words, unit, rows, heads, lines }) {
  const [names, links] = ["name", "link"].map((of) => [...new Set(rows.map((row) => row[of]))]);
  const held = (some) => Math.max(...some.map(({ holds }) => holds ?? 0));
  const over = (link) => rows.filter((row) => row.link === link);
  figure("capacity", "What it carries",
    `The most ${unit} of each split and codec over each link at which all of this holds: ${words}; below it what did `
    + "not at the next more. Confirmed by five runs; the most over a link is outlined.",
    {
      draw: (width) => (names.length ? [map(names.map((name) => ({ name })), links, ({ name }, column) => {
        const found = over(links[column]).find((row) => row.name === name);
        if (!found) return null;
        const { says: title, holds, bound } = found;
        if (!isNumber(holds)) return { words: [bound], title, failed: true };
        return {
          words: [`${Number(holds.toPrecision(3))} ${unit}`, bound], title,
          tint: holds / held(rows), marked: holds === held(over(links[column])),
        };
      }, width)] : null),
      numbers: () => table(heads, lines),
    });
}
