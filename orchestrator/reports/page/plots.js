// Pictures of a report: marks between axes, a map of rows and columns, the time of one frame.

import { drawn, element, nameColumn, nameOf, scaleOf, worded } from "./pictures.js";

const HIGH = 300;
const [TOP, BOTTOM, RIGHT] = [10, 38, 14];

// ---------------------------------------------------------------- axes

// Round numbers from `least` to `most`; on a logarithmic axis 1, 2 and 5 of every decade.
function rounds({ least, most, log }) {
  const inside = (value) => value >= least * (least > 0 ? 0.999 : 1.001) && value <= most * 1.001;
  if (log) {
    const powers = Math.ceil(Math.log10(most / least)) + 1;
    const digits = powers > 3 ? [1] : [1, 2, 5];
    const first = Math.floor(Math.log10(least));
    return Array.from({ length: powers + 1 }, (_, i) => digits.map((d) => d * 10 ** (first + i)))
      .flat().filter(inside);
  }
  const rough = (most - least) / 4;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 2.5, 5, 10].find((one) => one * power >= rough * 0.999) * power;
  const first = Math.ceil(least / step - 0.001);
  const count = Math.floor(most / step + 0.001) - first;
  return Array.from({ length: count + 1 }, (_, i) => (first + i) * step);
}

// Both ends of an axis with some room around its values.
export function spread(values, { log = false, from = null, room = 0.06 } = {}) {
  let [least, most] = [Math.min(...values, ...(from === null ? [] : [from])), Math.max(...values)];
  if (log) {
    const factor = Math.max(1.3, (most / least) ** room);
    return { least: least / factor, most: most * factor, log };
  }
  if (least === most) [least, most] = [least - (Math.abs(least) || 1) / 2, most + (Math.abs(most) || 1) / 2];
  const more = (most - least) * room;
  return { least: from === least ? least : least - more, most: most + more, log };
}

function placer({ least, most, log }, start, end) {
  const at = log ? Math.log10 : (value) => value;
  const share = (value) => (at(value) - at(least)) / (at(most) - at(least));
  return (value) => start + share(value) * (end - start);
}

// An empty picture with its axes: each {least, most, log, unit, name}.
export function axes(width, across, up) {
  const left = 64;
  const x = placer(across, left, width - RIGHT);
  const y = placer(up, HIGH - BOTTOM, TOP);
  const svg = drawn("svg", { viewBox: `0 0 ${width} ${HIGH}`, role: "img" });
  const said = (value, { unit, most, log }) =>
    worded(value, unit, scaleOf(unit, log ? value : most));
  for (const value of rounds(up)) {
    const at = y(value);
    svg.append(drawn("line", { class: "grid", x1: left, x2: width - RIGHT, y1: at, y2: at }));
    const place = { x: left - 6, y: at + 4, "text-anchor": "end" };
    svg.append(drawn("text", place, said(value, up)));
  }
  let free = 0;
  for (const value of rounds(across)) {
    const [at, text] = [x(value), said(value, across)];
    svg.append(drawn("line", { class: "grid", x1: at, x2: at, y1: TOP, y2: HIGH - BOTTOM }));
    if (at - 3.2 * text.length < free) continue;  // words would run into one another
    svg.append(drawn("text", { x: at, y: HIGH - BOTTOM + 15, "text-anchor": "middle" }, text));
    free = at + 3.2 * text.length + 8;
  }
  const middle = (left + width - RIGHT) / 2;
  svg.append(drawn("text", { x: middle, y: HIGH - 5, "text-anchor": "middle" }, across.name));
  return { svg, x, y, left, across };
}

// ---------------------------------------------------------------- marks

export function dot(plot, { at, colour, title, hollow = false, size = 4.5 }) {
  const made = drawn("circle", { class: "dot", cx: plot.x(at[0]), cy: plot.y(at[1]), r: size });
  made.style.fill = hollow ? "var(--panel)" : colour;
  made.style.stroke = colour;
  made.append(drawn("title", {}, title));
  plot.svg.append(made);
}

// A line across, which marks are to stay on one side of.
export function limit(plot, value) {
  const at = plot.y(value);
  const [x1, x2] = [plot.left, plot.x(plot.across.most)];
  plot.svg.append(drawn("line", { class: "limit", x1, x2, y1: at, y2: at }));
}

// Shares that grow in steps: [[value, share], …].
export function steps(plot, { points, colour, dashes, title }) {
  const { x, y } = plot;
  const drawnSteps = points.map(([at, share]) => `H${x(at).toFixed(1)}V${y(share).toFixed(1)}`);
  const d = `M${x(points[0][0]).toFixed(1)} ${y(0).toFixed(1)}${drawnSteps.join("")}H${x(plot.across.most)}`;
  const path = drawn("path", { class: "line", d });
  path.style.stroke = colour;
  path.style.strokeDasharray = dashes;
  path.append(drawn("title", {}, title));
  plot.svg.append(path);
}

// Under the pointer: how many frames of each curve are done by then.
export function followSteps(picture, plot, curves, width) {
  const cursor = drawn("line", { class: "cursor", y1: TOP, y2: HIGH - BOTTOM, visibility: "hidden" });
  const tip = element("div", { class: "tip", hidden: "" });
  plot.svg.append(cursor);
  picture.append(tip);
  plot.svg.addEventListener("pointermove", (event) => {
    const box = plot.svg.getBoundingClientRect();
    const share = ((event.clientX - box.left) / box.width * width - plot.left) / (width - RIGHT - plot.left);
    const within = Math.min(1, Math.max(0, share));
    const { least, most } = plot.across;
    const at = least + within * (most - least);
    const lines = curves.map(({ name, points }) => {
      const done = points.findLast(([value]) => value <= at)?.[1] ?? 0;
      return element("div", {}, `${name}: ${worded(done, "percentunit")}`);
    });
    tip.replaceChildren(element("div", {}, `within ${worded(at, "ms")}`), ...lines);
    tip.hidden = false;
    const place = plot.x(at) / width * box.width;
    tip.style.left = within < 0.5 ? `${place + 10}px` : "auto";
    tip.style.right = within < 0.5 ? "auto" : `${box.width - place + 10}px`;
    cursor.setAttribute("x1", plot.x(at));
    cursor.setAttribute("x2", plot.x(at));
    cursor.setAttribute("visibility", "visible");
  });
  plot.svg.addEventListener("pointerleave", () => {
    tip.hidden = true;
    cursor.setAttribute("visibility", "hidden");
  });
}

// ---------------------------------------------------------------- a map

// Fields of rows × columns; `field(row, column)` is {words: [first, second], title, tint, marked,
// failed}, or null where nothing was measured. `tint` is from -1, bad, to 1, good.
export function map(rows, columns, field, width) {
  const column = nameColumn(width, 210);
  const { left, over } = column;
  const [wide, high] = [Math.max(84, (width - left - 4) / columns.length), 34 + over];
  const all = left + wide * columns.length + 4;
  const head = 14 * Math.max(...columns.map((name) => name.split(", ").length)) + 6;
  const svg = drawn("svg", { viewBox: `0 0 ${all} ${head + rows.length * high}`, role: "img" });
  svg.style.minWidth = `${Math.min(all, left + 84 * columns.length)}px`;
  columns.forEach((name, index) => {
    name.split(", ").forEach((words, line) => {
      const place = { x: left + wide * (index + 0.5), y: 12 + 14 * line, "text-anchor": "middle" };
      svg.append(drawn("text", { ...place, class: "marked" }, words));
    });
  });
  const last = [];  // an outline is not to lie under its neighbours
  rows.forEach((row, line) => {
    const y = head + line * high;
    svg.append(nameOf(row, y + (over ? 0 : 5), column));
    columns.forEach((name, index) => {
      const told = field(row, index);
      if (!told) return;
      const [x, top] = [left + wide * index, y + over];
      const box = drawn("rect", { class: "field", x: x + 1, y: top + 1, width: wide - 2, height: 32 });
      box.style.fill = tinted(told.tint);
      box.append(drawn("title", {}, told.title));
      svg.append(box);
      if (told.marked) last.push(drawn("rect", {
        class: "best", x: x + 2, y: top + 2, width: wide - 4, height: 30, rx: 3,
      }));
      const kind = `value${told.marked ? " marked" : ""}${told.failed ? " failed" : ""}`;
      told.words.forEach((words, place) => svg.append(drawn("text", {
        class: kind, x: x + wide / 2, y: top + 14 + 13 * place, "text-anchor": "middle",
      }, words)));
    });
  });
  svg.append(...last);
  return svg;
}

function tinted(tint) {
  if (!Number.isFinite(tint)) return "var(--panel)";
  const share = Math.round(16 + 40 * Math.min(1, Math.abs(tint)));
  return `color-mix(in srgb, var(${tint < 0 ? "--s1" : "--s2"}) ${share}%, var(--panel))`;
}

// ---------------------------------------------------------------- one frame

// Spans of time, one below the other: [{name, start, end, colour, faded,
// title, words}].
export function waterfall(spans, width) {
  const column = nameColumn(width, 130);
  const { left, over } = column;
  const [line, bottom] = [24 + over, 22];
  const most = Math.max(...spans.map((span) => span.end));
  const high = spans.length * line + bottom;
  const svg = drawn("svg", { viewBox: `0 0 ${width} ${high}`, role: "img" });
  const x = placer({ least: 0, most }, left, width - 74);
  for (const value of rounds({ least: 0, most })) {
    svg.append(drawn("line", { class: "grid", x1: x(value), x2: x(value), y1: 0, y2: high - bottom }));
    const place = { x: x(value), y: high - 6, "text-anchor": value ? "middle" : "start" };
    svg.append(drawn("text", place, worded(value, "ms")));
  }
  spans.forEach((span, index) => {
    const y = index * line;
    svg.append(nameOf(span, y, column));
    const [from, to] = [x(span.start), x(span.end)];
    const shape = { x: from, y: y + over + 4, width: Math.max(1, to - from), height: 16 };
    const bar = drawn("rect", { class: "bar", ...shape });
    bar.style.fill = span.colour;
    bar.style.fillOpacity = span.faded ? 0.4 : 1;
    bar.append(drawn("title", {}, span.title));
    svg.append(bar);
    const place = { class: "value", x: Math.max(from + 1, to) + 5, y: y + over + 16 };
    svg.append(drawn("text", place, span.words));
  });
  return svg;
}

// Where there is no pointer to rest on a mark, a tap tells its title.
export function tapped(picture, svg) {
  const tip = element("div", { class: "tip", hidden: "" });
  picture.append(tip);
  svg.addEventListener("pointerdown", (event) => {
    const title = event.target.querySelector?.(":scope > title")?.textContent;
    tip.hidden = !title || event.pointerType === "mouse";
    tip.textContent = title ?? "";
    const box = picture.getBoundingClientRect();
    tip.style.top = `${event.clientY - box.top + 14}px`;
    tip.style.left = `${Math.max(0, Math.min(event.clientX - box.left, box.width - 240))}px`;
  });
}
