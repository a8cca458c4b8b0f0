// The report of a run, drawn from the facts in the page.

import {
  choose, figure, figures, isNumber, list, ms, panel, report, size, table, tick, times,
} from "./panels.js";
import { capacity } from "./capacity.js";
import { Palette, bars, element, worded } from "./pictures.js";
import { axes, dot, followSteps, limit, map, spread, steps, waterfall } from "./plots.js";

const told = JSON.parse(document.getElementById("facts").textContent);
const STAGES = told.stages;
const NODES = ["var(--s0)", "var(--s4)", "var(--s1)", "var(--s3)", "var(--s5)"];
const PLACES = Object.fromEntries(told.places.map((place, nth) =>
  [place, place === "link" ? "var(--s2)" : NODES[nth % NODES.length]]));
const [CURVES, FEW] = [6, 12];  // shown before the reader asks for others

// ---------------------------------------------------------------- what was measured, in order

const firstLayers = (cell) => Number(String(cell.row.split).split(":")[0]);
const cells = told.cells.map((cell, order) => ({ ...cell, order, e2e: cell.row.e2e_ms }));
const byDepth = [...cells].sort((a, b) => firstLayers(a) - firstLayers(b) || a.order - b.order);
const groups = told.choices.map((choice) => ({
  ...choice,
  cells: byDepth.filter(({ row }) => row.link === choice.link && row.ue === choice.ue && row.load === choice.load),
}));
const splits = [...new Set(byDepth.map(({ row }) => row.split))];
const nameOfSplit = (split) => {
  const { row, anchor } = byDepth.find((cell) => cell.row.split === split);
  return anchor || row.split_name === split ? row.split_name : `${row.split_name} (${split})`;
};

// Of the codecs of a split, the one to choose: of those that may be recommended, where there are any;
// of those that all failed, the first.
function pick(group, split) {
  const ofSplit = group.cells.filter((cell) => cell.row.split === split);
  const ran = ofSplit.filter((cell) => cell.row.valid && isNumber(cell.e2e));
  const gain = (cell) => cell.row.speedup_vs_best_anchor ?? 0;
  ran.sort((a, b) => b.fit - a.fit || gain(b) - gain(a) || a.e2e - b.e2e);
  return ran.find(({ order }) => order === group.best) ?? ran[0] ?? ofSplit[0];
}

// What is behind a split's name, such as "int8+zstd in ue int8"; nothing of what crosses no link as it is.
const coded = ({ codec, precision }) => [codec === "none" ? "" : codec, precision ? `in ${precision}` : ""]
  .filter(Boolean).join(" ");

const isBest = (group, cell) => group.tied.includes(cell.order);
const failed = (cell) => !cell.row.valid;
const outcome = (cell) => (cell.row.sustained === false ? "not sustained" : isNumber(cell.e2e) ? ms(cell.e2e) : "failed")
  + (failed(cell) && isNumber(cell.e2e) ? " INVALID" : "");

// The first few lines of what may be many.
const first = (lines) => (lines.length <= FEW ? lines
  : [...lines.slice(0, FEW), `… and ${lines.length - FEW} more, which all rows tell`]);

// ---------------------------------------------------------------- the verdict, the answer

function verdict() {
  const { word, reasons, advice } = told.verdict;
  document.title = `${told.model}: ${word}`;
  report.append(element("header", {},
    element("h1", {}, told.model), element("b", { class: `verdict ${word.toLowerCase()}` }, word),
    element("span", {}, `run ${told.run}, ${cells.length} cells`)));
  if (reasons.length) report.append(list("reasons", first(reasons)));
  if (told.unread.length) report.append(list("reasons", told.unread));
  panel("What to choose", "Over each link the fastest valid configuration of those that are sure to lose no more accuracy than "
    + "--max-drop; times are medians, with the interval of "
    + "the median and what it covers, or the range of fewer than 6 frames.", answer(), list("advice", advice));
}

function answer() {
  const alone = groups.filter(({ load }) => !load);  // of loads another panel tells
  return alone.length ? table(told.answer, alone.map((group) => group.answer)) : null;
}

// ---------------------------------------------------------------- end to end, by stage

function pieces({ row, taken }) {
  const together = told.hops.some((hop) => row[`${hop}_ms`] == null);
  const apart = together ? Object.fromEntries(told.hops.map((hop) => [hop, 0])) : {};
  const stages = { ...taken, ...apart, network: together ? row.network_ms : 0 };
  return STAGES.map((name) => ({ name, value: stages[name] ?? 0 })).filter(({ value }) => value > 0);
}

function stages() {
  const palette = new Palette();
  STAGES.forEach((name) => palette.index(name));
  const links = choose("Link", ["all", ...groups.map(({ name }) => name)], groups.length > 4 ? 1 : 0);
  const several = cells.length > splits.length * groups.length;
  const only = tick("one codec of each split, the one to choose", several);
  const shown = () => (links.select.value === "0" ? groups : [groups[links.select.value - 1]])
    .map((group) => [group, group.cells.filter((cell) =>
      !only.box.checked || failed(cell) || pick(group, cell.row.split) === cell)]);
  figure("stages", "End-to-end time by stage",
    "What a frame took over each link, made of its stages (medians, so they need not add up "
    + "exactly); a thin line is the interval of the median, of fewer than 6 frames their "
    + "range, ★ the configuration to choose, and those that cannot be "
    + "told from it. Of "
    + "several machines, hops may only be known together, as network.",
    {
      controls: several ? [links.control, only.control] : [links.control],
      draw: (width) => groups.length ? [
        ...shown().flatMap(([group, some]) => [
          element("h3", {}, group.name),
          bars(some.map((cell) => ({
            name: cell.label, pieces: isNumber(cell.e2e) ? pieces(cell) : [], marked: isBest(group, cell),
            words: `${outcome(cell)}${isBest(group, cell) ? " ★" : ""}`, failed: failed(cell),
            low: cell.row.e2e_low_ms, high: cell.row.e2e_high_ms,
          })), "ms", width, (name) => palette.colour(name)),
        ]),
        palette.legend(STAGES.filter((name) => shown().some(([, some]) => some.some((cell) =>
          isNumber(cell.e2e) && pieces(cell).some((piece) => piece.name === name))))),
      ] : null,
      numbers: () => table(["link", "configuration", "end to end ms", ...STAGES.map((name) => `${name} ms`)],
        shown().flatMap(([group, some]) => some.map((cell) => [group.name, cell.label, cell.e2e ?? outcome(cell),
          ...STAGES.map((name) => pieces(cell).find((piece) => piece.name === name)?.value)]))),
    });
}

// ---------------------------------------------------------------- the crossover map

// What a picture leaves out, since it failed: told below it.
const absent = (some) => (some.length ? [element("p", { class: "absent" }, "Not drawn: ",
  first(some.map((cell) => `${cell.label} over ${cell.row.link} (${cell.row.reason})`)).join("; "))] : []);

const picked = (split, column) => pick(groups[column], split);

function mapped(some, field) {
  const rows = some.map((split) => ({ name: nameOfSplit(split), split }));
  const drawnThere = new Set(some.flatMap((split) => groups.map((_, column) => picked(split, column))));
  const left = cells.filter((cell) => failed(cell) && some.includes(cell.row.split) && !drawnThere.has(cell));
  return (width) => rows.length ? [map(rows, groups.map(({ name }) => name), (row, column) => {
    const cell = picked(row.split, column);
    if (!cell) return null;
    const said = failed(cell) ? cell.row.reason : outcome(cell);
    const title = `${cell.label} over ${groups[column].name}: ${said}`;
    if (failed(cell)) return { words: [isNumber(cell.e2e) ? "INVALID" : "failed"], title, failed: true };
    return { title, marked: isBest(groups[column], cell), ...field(cell) };
  }, width), ...absent(left)] : null;
}

function crossover() {
  const several = cells.some((cell) => !cell.anchor && coded(cell.row) !== "raw");
  figure("crossover", "Where to cut over which link",
    "End-to-end time of each split over each link, with the codec to choose for it, or its fastest one, as lossy, "
    + "where none may be recommended; × is how many "
    + "times as fast as the best anchor it is. The best over a link is outlined and has a ★, "
    + "as has what cannot be told from it.",
    {
      draw: mapped(splits, (cell) => {
        const speedup = cell.row.speedup_vs_best_anchor;
        const best = groups.some((group) => isBest(group, cell));
        const codec = (several && coded(cell.row) ? ` ${coded(cell.row)}` : "") + (cell.fit ? "" : ", lossy");
        return {
          words: [`${ms(cell.e2e)}${best ? " ★" : ""}`, `${times(speedup)}${codec}`],
          tint: isNumber(speedup) ? Math.log2(speedup) / 2 : NaN,
        };
      }),
      numbers: () => table(["configuration", "link", "end to end ms", "speed-up", "best anchor", "choose"],
        groups.flatMap((group) => group.cells.map((cell) => [cell.label, group.name, cell.e2e ?? outcome(cell),
          cell.row.speedup_vs_best_anchor, cell.row.best_anchor, isBest(group, cell) ? "★" : ""]))),
    });
}

function compression() {
  const inner = splits.filter((split) => byDepth.some((cell) => cell.row.split === split && !cell.anchor));
  const words = (needed) => (isNumber(needed) ? needed : needed === "inf" ? "none would do" : null);
  const target = ({ data, needed }) => (isNumber(needed) ? data / needed : null);
  figure("compression", "How much smaller the data would have to be",
    "The factor by which what crosses the link would have to shrink for the split to take as long "
    + "as the best anchor, and the bytes that leaves; of the codec to choose. None would do where the "
    + "nodes and the delay alone take longer.",
    {
      draw: mapped(inner, (cell) => {
        if (cell.needed === "inf") return { words: ["none", "would do"], tint: -1 };
        if (!isNumber(cell.needed)) return { words: ["not", "told"] };
        const factor = cell.needed > 1 ? `${cell.needed.toPrecision(3)}× smaller` : "wins as it is";
        const then = cell.needed > 1 ? size(target(cell)) : `even with ${size(target(cell))}`;
        return { words: [factor, then], tint: -Math.log10(cell.needed) };
      }),
      numbers: () => table(["configuration", "link", "sent bytes", "factor", "bytes that would do"],
        groups.flatMap((group) => group.cells.filter((cell) => !cell.anchor).map((cell) => [cell.label,
          group.name, cell.data ?? outcome(cell), words(cell.needed), target(cell)]))),
    });
}

// ---------------------------------------------------------------- latencies of single frames

function latencies() {
  const links = choose("Link", groups.map(({ name }) => name));
  const palette = new Palette();
  const on = new Map();
  const group = () => groups[links.select.value];
  const curves = () => group()?.cells.filter((cell) => cell.cdf.length) ?? [];
  const fastest = () => new Set([...curves()].filter((cell) => pick(group(), cell.row.split) === cell)
    .sort((a, b) => isBest(group(), b) - isBest(group(), a) || a.e2e - b.e2e).slice(0, CURVES));
  const isOn = (cell) => on.get(cell.label) ?? fastest().has(cell);
  const percentile = (cell) => [`${ms(cell.e2e)} median`,
    isNumber(cell.row.e2e_p95_ms) ? `${ms(cell.row.e2e_p95_ms)} p95` : ""].filter(Boolean).join(", ");
  function toggles(again) {
    return element("ul", { class: "legend toggles" }, ...curves().map((cell) => {
      const { control, box } = tick(cell.label + (failed(cell) ? " INVALID" : ""), isOn(cell));
      const swatch = element("span", { class: "swatch" });
      swatch.style.background = isOn(cell) ? palette.colour(cell.label) : "var(--rule)";
      box.addEventListener("change", () => { on.set(cell.label, box.checked); again(); });
      control.prepend(swatch);
      return element("li", isOn(cell) ? {} : { class: "off" }, control);
    }));
  }
  function draw(width, picture) {
    if (!curves().length) return null;
    const some = curves().filter(isOn);
    some.forEach((cell) => palette.index(cell.label));
    const across = spread(some.flatMap((cell) => cell.cdf.map(([at]) => at)).concat(some.length ? [] : [0, 1]),
      { from: 0 });
    const plot = axes(width, { ...across, unit: "ms", name: "end-to-end time of a frame" },
      { least: 0, most: 1, unit: "percentunit" });
    const drawnCurves = some.map((cell) => ({
      name: cell.label, points: cell.cdf, colour: palette.colour(cell.label),
      dashes: palette.dashes(cell.label), title: `${cell.label}: ${percentile(cell)}`,
    }));
    drawnCurves.forEach((curve) => steps(plot, curve));
    const around = element("div", { class: "around" }, plot.svg);
    followSteps(around, plot, drawnCurves, width);
    return [element("h3", {}, group().name), around, toggles(() => picture.replaceChildren(...draw(width, picture))),
      ...absent(group().cells.filter((cell) => !cell.cdf.length))];
  }
  figure("latencies", "How long single frames took",
    "The share of frames that were done within a time. Steep is steady, a tail to the right is frames "
    + "that were late. Tick a configuration to draw it.",
    {
      controls: [links.control],
      draw,
      numbers: () => table(["configuration", "frames", "median ms", "p95 ms", "p99 ms", "least ms", "most ms"],
        (group()?.cells ?? []).map((cell) => [cell.label, cell.row.frames, cell.e2e ?? outcome(cell),
          cell.row.e2e_p95_ms, cell.row.e2e_p99_ms, cell.cdf[0]?.[0], cell.cdf.at(-1)?.[0]])),
    });
}

function frame() {
  const framed = groups.flatMap((group) => group.cells.filter((cell) => cell.frame)
    .map((cell) => ({ cell, group, name: `${cell.label} over ${group.name}` })));
  const chosen = Math.max(0, framed.findIndex(({ cell, group }) => cell.order === group.split));
  const which = choose("Configuration", framed.map(({ name }) => name), chosen);
  const unsure = cells.some(({ row }) => isNumber(row.one_way_uncertainty_ms));
  const shown = () => framed[which.select.value];
  const spans = () => shown()?.cell.frame.spans ?? [];
  const heading = ({ name, cell: { frame: { number, of, e2e_ms } } }) =>
    element("h3", {}, `${name}: frame ${number} of ${of}, ${ms(e2e_ms)}`);
  figure("frame", "Where one frame spent its time",
    "The frame in the middle of its cell, from the start of its first stage: what each node and the "
    + "links did when. Preprocessing is pale, as it is no part of the end-to-end time."
    + (unsure ? " Of two machines, when a frame was through the link is known as well as their clocks." : ""),
    {
      controls: [which.control],
      draw: (width) => framed.length ? [
        heading(shown()),
        waterfall(spans().map(([name, place, start, end]) => ({
          name: `${place}: ${name}`, start, end, colour: PLACES[place], faded: name === "preprocess",
          title: `${name} on ${place}: ${ms(start)} to ${ms(end)}`, words: ms(end - start),
        })), width),
        element("ul", { class: "legend" }, ...Object.entries(PLACES).map(([place, colour]) => {
          const swatch = element("span", { class: "swatch" });
          swatch.style.background = colour;
          return element("li", {}, swatch, place);
        })),
      ] : null,
      numbers: () => table(["stage", "place", "start ms", "end ms", "took ms"],
        spans().map(([name, place, start, end]) => [name, place, start, end, end - start])),
    });
}

// ---------------------------------------------------------------- bytes, accuracy, link

function accuracy() {
  const sent = [...new Map(byDepth.filter((cell) => isNumber(cell.sent))
    .map((cell) => [cell.label, cell])).values()];
  const crossing = sent.filter((cell) => cell.sent > 0);
  const judged = crossing.filter((cell) => isNumber(cell.row.accuracy));
  const metric = judged[0]?.row.accuracy_metric;
  const palette = new Palette();
  const codecs = [...new Set(judged.map((cell) => coded(cell.row)))];
  function scatter(width) {
    const reached = judged.map((cell) => cell.row.accuracy);
    const across = spread(judged.map((cell) => cell.sent), { log: true });
    const plot = axes(width, { ...across, unit: "bytes", name: "sent for a frame" },
      { ...spread([0, ...reached, ...(Math.max(...reached) <= 1 ? [1] : [])]), unit: "" });
    codecs.forEach((codec) => palette.index(codec));
    for (const cell of judged) dot(plot, {
      at: [cell.sent, cell.row.accuracy], colour: palette.colour(coded(cell.row)),
      hollow: cell.anchor,
      title: `${cell.label}: ${size(cell.sent)}, ${metric} ${cell.row.accuracy.toFixed(3)}`,
    });
    return [plot.svg, palette.legend(codecs)];
  }
  const sizes = (width) => crossing.length ? [bars(crossing.map((cell) => ({
    name: cell.label, pieces: [{ name: "sent", value: cell.sent }],
  })), "bytes", width, () => "var(--s0)")] : null;
  figure("accuracy", judged.length ? "Size against accuracy" : "Size of what crosses the link",
    judged.length ? `What a frame sends and what it reaches (${metric}); up and to the left is `
      + "better. A colour is a codec, with the precision of parts that have another, a hollow mark an anchor."
      : "What a frame sends with each split. No accuracy was judged in this run.",
    {
      draw: judged.length ? scatter : sizes,
      numbers: () => table(["configuration", "sent bytes", "raw bytes", "accuracy", "lost"],
        sent.map(({ label, row, sent: bytes }) => [label, bytes, row.intermediate_bytes,
          row.accuracy, row.accuracy_drop])),
    });
}

function link() {
  const proved = cells.filter((cell) => cell.proofs.length);
  const ways = [["uplink", "var(--s0)", 0], ["downlink", "var(--s1)", 1]];
  const tolerance = told.rate_tolerance;
  function draw(width) {
    if (!proved.length) return null;
    const marks = proved.flatMap((cell) => ways.flatMap(([way, colour, place]) =>
      cell.proofs.filter((proof) => isNumber(proof.proved[place])).map(({ when, ends, asked, proved: found }) => ({
        at: [cell.order + 1 + (when === "after" ? 0.2 : -0.2), found[place] / asked[place] - 1], colour, size: 3,
        title: `${cell.label} over ${cell.row.link}, ${when}: ${way}${ends && ` of ${ends}`} `
          + `${worded(found[place], "mbit")}, asked ${worded(asked[place], "mbit")}`,
      }))));
    const plot = axes(width,
      { least: 0, most: cells.length + 1, unit: "", name: "cell, in the order of the rows" },
      { ...spread([...marks.map(({ at }) => at[1]), -tolerance, tolerance]), unit: "percentunit" });
    [tolerance, -tolerance].forEach((value) => limit(plot, value));
    marks.forEach((mark) => dot(plot, mark));
    const legend = new Palette().legend(ways.map(([way]) => way));
    return [plot.svg, legend];
  }
  figure("link", "The link: asked and measured",
    "How far the measured rates lay from those asked, before and after each cell; those before it "
    + "are not measured again where the cell before was over the same link; "
    + `up to the dashed lines, ±${worded(tolerance, "percentunit")}, is let pass.`,
    {
      draw,
      numbers: () => table(["cell", "link", "of", "", "asked up Mbit/s", "measured", "asked down Mbit/s", "measured",
        "asked RTT ms", "measured", "backend", "fault"],
        cells.flatMap(({ label, row, proofs }) => proofs.map(({ when, ends, asked, proved: found, fault }) =>
          [label, row.link, ends, when, ...asked.flatMap((value, nth) => [value, found[nth]]),
            row.link_backend, fault]))),
    });
}

// ---------------------------------------------------------------- all rows, conditions

function allRows() {
  const columns = [...new Set(cells.flatMap(({ row }) => Object.keys(row)))];
  const lines = cells.map(({ row }) => columns.map((name) =>
    (typeof row[name] === "boolean" ? String(row[name]) : row[name])));
  panel("All rows", "Every column of summary.csv; a click on a heading sorts.",
    element("details", {}, element("summary", {}, `Table of ${cells.length} rows`), table(columns, lines)))
    .classList.add("rows");
}

function conditions() {
  const parts = told.conditions.flatMap(({ title, lines }) => [element("h3", {}, title),
    element("dl", {}, ...lines.flatMap(([name, value]) => [element("dt", {}, name), element("dd", {}, value)]))]);
  panel("Conditions of the run", "What it takes to run it again.", ...parts);
}

function loads() {
  const [head, lines] = told.loads;
  if (lines.length) panel("Frames by when they were due", "What became of every frame that a load offered. Response times "
    + "run from when a frame was due, whatever kept it from beginning, and what was lost took longer than any other; a load "
    + "is sustained when no more than 1 % of its frames were dropped, failed or were late, and no queue grew.", table(head, lines));
}

function resources() {
  const [head, lines] = told.resources;
  if (lines.length) panel("What nodes took", "For a frame, the mean: CPU time of all threads, by stage where frames came one at "
    + "a time; the most memory (RSS); energy as it is known, measured or modelled.", table(head, lines));
}

function predicted() {
  if (told.predicted.length) panel("Predicted, not measured", "What decides was measured; of the others this is believed, "
    + "from the profiles and all that was measured, in intervals of 90 %. Nothing else on this page counts them.",
  table(["link", "UE", "configuration", "end to end ms", "from", "to"], told.predicted));
}

verdict();
if (told.capacity) capacity(told.capacity);
predicted();
loads();
if (cells.length) [stages, crossover, compression, latencies, frame, accuracy, link, resources, allRows].forEach((make) => make());
conditions();

const drawAll = (width) => figures.forEach((show) => show(width));
drawAll();
let drawnFor = innerWidth;
addEventListener("resize", () => {  // a phone's bars come and go, which changes the height alone
  if (innerWidth !== drawnFor) drawAll();
  drawnFor = innerWidth;
});
addEventListener("beforeprint", () => drawAll(680));
addEventListener("afterprint", () => drawAll());
