// Panels of the report, with their controls, and the table behind each picture.

import { element, worded } from "./pictures.js";
import { tapped } from "./plots.js";

export const isNumber = (value) => typeof value === "number";
export const ms = (value) => (isNumber(value) ? worded(Number(value.toPrecision(3)), "ms") : "–");
export const times = (value) => (isNumber(value) ? `${value.toFixed(2)}×` : "–");
export const size = (value) => (isNumber(value) ? worded(Number(value.toPrecision(3)), "bytes") : "–");

// ---------------------------------------------------------------- tables

// A value is words, a number, or null; a click on a heading sorts by its column.
export function table(head, lines) {
  const body = element("tbody");
  const shown = (value) => (isNumber(value)
    ? value.toLocaleString("en", { maximumSignificantDigits: 6 }) : value ?? "–");
  const fill = (sorted) => body.replaceChildren(...sorted.map((line) => element("tr", {},
    ...line.map((value) => element("td", isNumber(value) ? {} : { class: "words" }, shown(value))))));
  let [sortedBy, way] = [-1, 1];
  const headings = head.map((name, column) => {
    const button = element("button", { type: "button" }, name);
    const heading = element("th", { scope: "col" }, button);
    button.addEventListener("click", () => {
      way = sortedBy === column ? -way : 1;
      sortedBy = column;
      headings.forEach((other) => other.removeAttribute("aria-sort"));
      heading.setAttribute("aria-sort", way > 0 ? "ascending" : "descending");
      fill([...lines].sort((a, b) => way * compared(a[column], b[column])));
    });
    return heading;
  });
  fill(lines);
  const made = element("table", {}, element("thead", {}, element("tr", {}, ...headings)), body);
  return element("div", { class: "scrolled" }, made);
}

function compared(a, b) {
  if (isNumber(a) && isNumber(b)) return a - b;
  if (isNumber(a) !== isNumber(b)) return isNumber(a) ? -1 : 1;
  return String(a ?? "").localeCompare(String(b ?? ""), "en", { numeric: true });
}

// ---------------------------------------------------------------- panels

export const report = document.getElementById("report");
export const figures = [];

export function panel(title, says, ...inside) {
  const made = element("section", { class: "panel" }, element("h2", {}, title));
  if (says) made.append(element("p", {}, says));
  made.append(...inside.filter(Boolean));
  report.append(made);
  return made;
}

// `draw(width)` gives an SVG and what stands below it, or null where there is nothing to draw;
// `numbers()` the table behind it.
export function figure(id, title, says, { controls = [], draw, numbers }) {
  const picture = element("div", { class: "picture" });
  const behind = element("div");
  const bar = controls.length ? element("div", { class: "controls" }, ...controls) : null;
  const details = element("details", {}, element("summary", {}, "Table"), behind);
  panel(title, says, bar, picture, details).setAttribute("data-figure", id);
  const show = (width = Math.max(280, picture.clientWidth)) => {
    const drawnNow = draw(width, picture);
    const nothing = [element("div", { class: "nothing" }, "nothing of this was measured")];
    picture.replaceChildren(...(drawnNow ?? nothing));
    picture.querySelectorAll("svg").forEach((svg) => {
      svg.setAttribute("aria-label", `${title}. ${says} The numbers are in the table below.`);
      tapped(picture, svg);
    });
    behind.replaceChildren(numbers());
  };
  figures.push(show);
  controls.forEach((control) => control.addEventListener("change", () => show()));
}

export function choose(name, options, chosen = 0) {
  const select = element("select", {}, ...options.map((option, value) =>
    element("option", { value }, option)));
  select.value = chosen;
  return { control: element("label", {}, `${name} `, select), select };
}

export function tick(name, checked) {
  const box = element("input", { type: "checkbox" });
  box.checked = checked;
  return { control: element("label", {}, box, ` ${name}`), box };
}

export const list = (kind, lines) => element("ul", { class: kind },
  ...lines.map((line) => element("li", {}, line)));
