// Draws the panels of splitbed.json, the dashboard that Grafana takes, from Prometheus's answers.

import {
  Palette, barChart, barGauge, clock, element, latest, stats, timeSeries, worded,
} from "./pictures.js";

const REFRESH_MS = 5000;
const POINTS = 240;

// ---------------------------------------------------------------- asking Prometheus

async function answer(path, parameters) {
  const reply = await fetch(`${path}?${new URLSearchParams(parameters)}`);
  const said = await reply.json();
  if (said.status !== "success") throw new Error(said.error ?? reply.statusText);
  return said.data.result;
}

function legend(format, labels) {
  return format.replace(/\{\{\s*(\w+)\s*\}\}/g, (_, name) => labels[name] ?? "");
}

// One list of {name, labels, points: [[seconds, value], …]}, without what was never a number.
async function series(panel, now, range) {
  const answers = await Promise.all(panel.targets.map(async (target) => {
    const query = target.expr.replaceAll("$__range", `${range}s`);
    const step = Math.max(1, Math.ceil(range / POINTS));
    // steps on whole multiples, so that a picture does not tremble as it is drawn again
    const end = Math.floor(now / step) * step;
    const found = target.instant
      ? await answer("api/v1/query", { query, time: now })
      : await answer("api/v1/query_range", { query, start: end - range, end, step });
    return found.map((one) => ({
      name: legend(target.legendFormat, one.metric) || panel.title,
      labels: one.metric,
      points: (one.values ?? [one.value]).map(([at, text]) => [at, Number(text)]),
    }));
  }));
  return answers.flat().filter((one) => one.points.some(([, value]) => Number.isFinite(value)));
}

// ---------------------------------------------------------------- panels

function table(all, unit) {
  const head = element("tr", {}, ...["", "latest", "least", "most"].map((t) => element("th", {}, t)));
  const rows = all.map((one) => {
    const values = one.points.map(([, value]) => value).filter(Number.isFinite);
    const told = [latest(one), Math.min(...values), Math.max(...values)];
    const cells = told.map((value) => element("td", {}, worded(value, unit)));
    return element("tr", {}, element("td", {}, one.name), ...cells);
  });
  return element("table", {}, element("thead", {}, head), element("tbody", {}, ...rows));
}

class Panel {
  #palette = new Palette();
  #picture = element("div", { class: "picture" });
  #numbers = element("div");

  constructor(spec) {
    this.spec = spec;
    const behind = element("details", {}, element("summary", {}, "Table"), this.#numbers);
    this.section = element("section", { class: "panel", "data-panel": spec.id });
    this.section.append(element("h3", {}, spec.title));
    if (spec.description) this.section.append(element("p", {}, spec.description));
    this.section.append(this.#picture, behind);
    this.section.style.setProperty("--width", spec.gridPos.w);
  }

  async refresh(now, range) {
    this.#show(await series(this.spec, now, range), now, range);
  }

  #show(all, now, range) {
    const unit = this.spec.fieldConfig.defaults.unit;
    if (!all.length) {
      this.#picture.replaceChildren(element("div", { class: "nothing" }, "no data"));
      this.#numbers.replaceChildren();
      return;
    }
    const width = Math.max(280, this.#picture.clientWidth);
    const draw = {
      stat: () => stats(all, unit, this.spec.options),
      bargauge: () => barGauge(all, unit, width),
      barchart: () => barChart(all, unit, width, this.#palette, this.spec),
      timeseries: () => timeSeries(all, unit, width, this.#palette, this.spec, now, range),
    }[this.spec.type];
    this.#picture.replaceChildren(...draw());
    this.#picture.querySelector("svg")?.setAttribute("aria-label", `${this.spec.title}: see the table`);
    this.#numbers.replaceChildren(table(all, unit));
  }
}

async function refresh(panels) {
  const [state, range] = [document.getElementById("state"), document.getElementById("range").value];
  const now = Date.now() / 1000;
  const outcomes = await Promise.allSettled(panels.map((panel) => panel.refresh(now, Number(range))));
  const failed = outcomes.find((outcome) => outcome.status === "rejected");
  state.textContent = failed ? failed.reason.message : `as of ${clock(now)}`;
  state.classList.toggle("failed", Boolean(failed));
}

async function begin() {
  const dashboard = await (await fetch("splitbed.json")).json();
  const panels = [];
  for (const spec of dashboard.panels) {
    if (spec.type === "row") {
      document.getElementById("panels").append(element("h2", {}, spec.title));
      continue;
    }
    panels.push(new Panel(spec));
    document.getElementById("panels").append(panels.at(-1).section);
  }
  document.getElementById("range").addEventListener("change", () => refresh(panels));
  for (;;) {
    await refresh(panels);
    await new Promise((done) => setTimeout(done, REFRESH_MS));
  }
}

begin();
