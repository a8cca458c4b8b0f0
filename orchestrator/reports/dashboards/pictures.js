// Pictures of series, a series being {name, labels, points: [[seconds, value], …]}.

const COLOURS = 8;
const SVG = "http://www.w3.org/2000/svg";

// ---------------------------------------------------------------- elements; text is never markup

export function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

export function drawn(name, attributes = {}, ...children) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

// ---------------------------------------------------------------- numbers with their units

const SCALES = {
  s: [[1, "s"], [1e-3, "ms"], [1e-6, "µs"]],
  bps: [[1e9, "Gbit/s"], [1e6, "Mbit/s"], [1e3, "kbit/s"], [1, "bit/s"]],
  Bps: [[1e9, "GB/s"], [1e6, "MB/s"], [1e3, "kB/s"], [1, "B/s"]],
  bytes: [[1e9, "GB"], [1e6, "MB"], [1e3, "kB"], [1, "B"]],
  percentunit: [[0.01, "%"]],
  ms: [[1, "ms"]],
  mbit: [[1, "Mbit/s"]],
};

export function scaleOf(unit, value) {
  const scales = SCALES[unit] ?? [[1, ""]];
  return scales.find(([size]) => Math.abs(value) >= size) ?? scales[value === 0 ? 0 : scales.length - 1];
}

export function worded(value, unit, scale = scaleOf(unit, value)) {
  if (!Number.isFinite(value)) return "–";
  const number = (value / scale[0]).toLocaleString("en", { maximumSignificantDigits: 4 });
  return scale[1] ? `${number} ${scale[1]}` : number;
}

export function clock(seconds) {
  return new Date(seconds * 1000).toLocaleTimeString("en-GB");
}

// ---------------------------------------------------------------- pictures

export const latest = (one) => one.points.findLast(([, value]) => Number.isFinite(value))[1];

export class Palette {  // a series keeps its colour while the page is open
  #names = new Map();

  index(name) {
    if (!this.#names.has(name)) this.#names.set(name, this.#names.size);
    return this.#names.get(name);
  }

  colour(name) { return `var(--s${this.index(name) % COLOURS})`; }

  dashes(name) { return this.index(name) < COLOURS ? "none" : "2 3"; }

  legend(names) {
    const entries = names.map((name) => {
      const dashed = this.index(name) < COLOURS ? "" : " dashed";
      const swatch = element("span", { class: `swatch${dashed}` });
      swatch.style.background = this.colour(name);
      return element("li", {}, swatch, name);
    });
    return element("ul", { class: "legend" }, ...entries);
  }
}

// Where an axis ends, and the round numbers on it.
function ticks(most) {
  const power = most > 0 ? 10 ** Math.floor(Math.log10(most)) : 1;
  const ends = [[1, 5], [1.5, 3], [2, 4], [3, 3], [4, 4], [5, 5], [6, 3], [8, 4], [10, 5]];
  const [end, parts] = ends.find(([end]) => end * power >= most * 0.9999);
  return Array.from({ length: parts + 1 }, (_, part) => (part / parts) * end * power);
}

export function stats(all, unit, options) {
  const wordedOnly = options.textMode === "name";
  const made = all.map((one) => {
    const value = wordedOnly ? one.name : worded(latest(one), unit);
    const stat = element("div", { class: wordedOnly ? "stat worded" : "stat" });
    stat.append(element("b", { class: "value" }, value));
    if (options.textMode === "value_and_name") stat.append(element("span", {}, one.name));
    return stat;
  });
  return [element("div", { class: "stats" }, ...made)];
}

// Where the names of rows stand: before them, or over them where there is no room.
export function nameColumn(width, most = 250) {
  return width < 480 ? { left: 2, over: 16 } : { left: Math.min(most, width * 0.45), over: 0 };
}

export function nameOf(row, y, { left, over }) {
  const place = over ? { x: left, y: y + 12 } : { x: left - 6, y: y + 15, "text-anchor": "end" };
  return drawn("text", row.marked ? { ...place, class: "marked" } : place, row.name);
}

// Rows of one bar each, made of one or more pieces: [{name, pieces: [{name, value}]}]. A row may say
// its own `words` behind the bar, be `marked`, have `failed`, and lie between `low` and `high`.
export function bars(rows, unit, width, colour) {
  const column = nameColumn(width);
  const { left, over } = column;
  const line = 22 + over;
  const total = (row) => row.pieces.reduce((sum, piece) => sum + piece.value, 0);
  const longest = Math.max(...rows.map((row) => row.high ?? total(row))) || 1;
  const room = Math.max(70, ...rows.map((row) => 6.5 * (row.words?.length ?? 0) + 12));
  const scale = Math.max(40, width - left - room) / longest;
  const svg = drawn("svg", { viewBox: `0 0 ${width} ${rows.length * line}`, role: "img" });
  rows.forEach((row, index) => {
    const y = index * line;
    let x = left;
    svg.append(nameOf(row, y, column));
    for (const piece of row.pieces) {
      const long = Math.max(0, piece.value * scale);
      const bar = drawn("rect", { class: "bar", x, y: y + over + 3, width: long, height: 16 });
      bar.style.fill = colour(piece.name);
      bar.append(drawn("title", {}, `${row.name}, ${piece.name}: ${worded(piece.value, unit)}`));
      svg.append(bar);
      x += long;
    }
    if (row.high > row.low) {
      const [from, to] = [left + row.low * scale, left + row.high * scale];
      svg.append(drawn("path", { class: "whisker", d: `M${from} ${y + over + 11}H${to}` }));
      x = Math.max(x, to);
    }
    const kind = ["value", row.marked && "marked", row.failed && "failed"].filter(Boolean).join(" ");
    const said = row.words ?? worded(total(row), unit);
    svg.append(drawn("text", { class: kind, x: x + 6, y: y + over + 15 }, said));
  });
  return svg;
}

const byName = (a, b) => a.name.localeCompare(b.name, "en", { numeric: true });

export function barGauge(all, unit, width) {
  const rows = all.map((one) => ({ name: one.name, pieces: [{ name: "", value: latest(one) }] }));
  return [bars(rows.sort(byName), unit, width, () => "var(--s0)")];
}

export function barChart(all, unit, width, palette, panel) {
  const { rowField, columnField } = panel.transformations[0].options;
  const rows = new Map();
  for (const one of all) {
    const name = one.labels[rowField];
    if (!rows.has(name)) rows.set(name, { name, pieces: [] });
    rows.get(name).pieces.push({ name: one.labels[columnField], value: latest(one) });
  }
  const names = [...new Set(all.map((one) => one.labels[columnField]))].sort();
  for (const row of rows.values()) row.pieces.sort(byName);
  const svg = bars([...rows.values()].sort(byName), unit, width, (name) => palette.colour(name));
  return [svg, palette.legend(names)];
}

// Each series over the ones below it; a gap counts as nothing.
function stacked(all) {
  const sums = new Map();
  return all.map((one) => ({
    ...one,
    points: one.points.map(([at, value]) => {
      const low = sums.get(at) ?? 0;
      const high = low + (Number.isFinite(value) ? value : 0);
      sums.set(at, high);
      return [at, high, low];
    }),
  }));
}

export function timeSeries(all, unit, width, palette, panel, now, range) {
  const stacking = panel.fieldConfig.defaults.custom.stacking?.mode === "normal";
  const shown = stacking ? stacked(all) : all;
  const [high, left, bottom] = [200, 78, 20];
  const values = shown.flatMap((one) => one.points.map(([, value]) => value)).filter(Number.isFinite);
  const axis = ticks(Math.max(...values));
  const top = axis.at(-1);
  const x = (at) => left + (1 - (now - at) / range) * (width - left - 8);
  const y = (value) => high - bottom - (value / top) * (high - bottom - 8);
  const svg = drawn("svg", { viewBox: `0 0 ${width} ${high}`, role: "img" });
  const scale = scaleOf(unit, top);
  for (const value of axis) {
    const at = y(value);
    svg.append(drawn("line", { class: "grid", x1: left, x2: width - 8, y1: at, y2: at }));
    const text = worded(value, unit, scale);
    svg.append(drawn("text", { x: left - 6, y: at + 4, "text-anchor": "end" }, text));
  }
  for (const share of [0, 0.5, 1]) {
    const at = now - range * (1 - share);
    const anchor = ["start", "middle", "end"][share * 2];
    svg.append(drawn("text", { x: x(at), y: high - 4, "text-anchor": anchor }, clock(at)));
  }
  for (const one of shown) {
    const made = paths(one, x, y, stacking, palette);
    const dashes = lineStyle(panel, one.name)?.dash?.join(" ");
    if (dashes) made.forEach((path) => { path.style.strokeDasharray = dashes; });
    svg.append(...made);
  }
  const picture = element("div", {}, svg);
  follow(picture, svg, all, { unit, left, width, now, range, x });
  return [picture, palette.legend(all.map((one) => one.name))];
}

// What the dashboard says of the lines whose names match.
function lineStyle(panel, name) {
  const saying = panel.fieldConfig.overrides.find(({ matcher }) =>
    matcher.id === "byRegexp" && new RegExp(matcher.options.slice(1, -1)).test(name));
  return saying?.properties.find(({ id }) => id === "custom.lineStyle")?.value;
}

// A path for each stretch without gaps; of a single point, a dot.
function paths(one, x, y, stacking, palette) {
  const stretches = [[]];
  let before = null;
  const step = Math.min(...one.points.slice(1).map(([at], i) => at - one.points[i][0]));
  for (const point of one.points) {
    const gap = before !== null && point[0] - before > step * 1.5;
    if ((gap || !Number.isFinite(point[1])) && stretches.at(-1).length) stretches.push([]);
    if (Number.isFinite(point[1])) stretches.at(-1).push(point);
    before = point[0];
  }
  return stretches.filter((stretch) => stretch.length).map((stretch) => {
    const there = stretch.map(([at, value]) => `${x(at).toFixed(1)} ${y(value).toFixed(1)}`);
    const path = drawn("path", { class: "line" });
    path.style.stroke = palette.colour(one.name);
    if (stacking) {
      const back = stretch.map(([at, , low]) => `${x(at).toFixed(1)} ${y(low).toFixed(1)}`).reverse();
      path.setAttribute("d", `M${there.join("L")}L${back.join("L")}Z`);
      path.style.fill = palette.colour(one.name);
      path.style.fillOpacity = 0.6;
      path.style.strokeWidth = 1;
    } else {
      path.setAttribute("d", there.length > 1 ? `M${there.join("L")}` : `M${there[0]}h0.1`);
      path.style.strokeDasharray = palette.dashes(one.name);
      if (there.length === 1) path.style.strokeLinecap = "round";
    }
    return path;
  });
}

// Under the pointer: the time, and each series at it.
function follow(picture, svg, all, { unit, left, width, now, range, x }) {
  const cursor = drawn("line", { class: "cursor", y1: 0, y2: 180, visibility: "hidden" });
  const tip = element("div", { class: "tip", hidden: "" });
  svg.append(cursor);
  picture.append(tip);
  svg.addEventListener("pointermove", (event) => {
    const box = svg.getBoundingClientRect();
    const share = ((event.clientX - box.left) / box.width * width - left) / (width - left - 8);
    const at = now - range * (1 - Math.min(1, Math.max(0, share)));
    const nearest = (one) => one.points.reduce((best, point) =>
      (Math.abs(point[0] - at) < Math.abs(best[0] - at) ? point : best));
    const lines = all.map((one) => [one.name, nearest(one)])
      .filter(([, [when, value]]) => Number.isFinite(value) && Math.abs(when - at) < range / 60)
      .map(([name, [, value]]) => element("div", {}, `${name}: ${worded(value, unit)}`));
    tip.replaceChildren(element("div", {}, clock(at)), ...lines);
    tip.hidden = false;
    const place = x(at) / width * box.width;
    tip.style.left = share < 0.5 ? `${place + 10}px` : "auto";
    tip.style.right = share < 0.5 ? "auto" : `${box.width - place + 10}px`;
    cursor.setAttribute("x1", x(at));
    cursor.setAttribute("x2", x(at));
    cursor.setAttribute("visibility", "visible");
  });
  svg.addEventListener("pointerleave", () => {
    tip.hidden = true;
    cursor.setAttribute("visibility", "hidden");
  });
}
