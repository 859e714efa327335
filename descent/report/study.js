"use strict";
// Draws the study's numbers, which stand in a script element of JSON, and moves the charts with the sliders.
const study = JSON.parse(document.querySelector("#numbers").textContent);
const views = {};
const write = (selector, text) => { document.querySelector(selector).textContent = text; };

// How every optimizer looks, in each chart alike. As long as none is picked, all are shown.
const looks = (key) => ({
  field: "optimizer",
  type: "nominal",
  scale: { domain: study.optimizers.map(({ name }) => name), range: study.optimizers.map((optimizer) => optimizer[key]) },
  legend: null,
});
const [color, strokeDash, shape] = [looks("color"), looks("dash"), looks("shape")];
const opacity = (value) => ({
  condition: { test: "!length(picked) || indexof(picked, datum.optimizer) >= 0", value },
  value: 0.15 * value,
});
const hover = (titles) => Object.entries(titles).map(([field, title]) => ({ field, title, type: "nominal" }));

async function draw(id, description, specification) {
  const axis = {
    aria: false, labelFontSize: 12, titleFontSize: 12, titleFontWeight: "normal",
    gridColor: "var(--line)", domainColor: "var(--soft)", tickColor: "var(--soft)",
  };
  const { view } = await vegaEmbed("#" + id, {
    description,
    width: "container",
    autosize: { type: "fit-x", contains: "padding", resize: true },
    params: [{ name: "picked", value: [] }],
    data: { name: "rows" },
    config: { background: "transparent", font: "system-ui, sans-serif", axis, mark: { aria: false }, view: { stroke: null } },
    ...specification,
  }, { renderer: "svg", actions: false });
  view.addEventListener("click", (event, item) => item?.datum?.optimizer && pick(item.datum.optimizer));
  views[id] = view;
}
const show = (id, rows) => views[id].data("rows", rows).runAsync();
addEventListener("pick", () => Object.values(views).forEach((view) => view.signal("picked", [...picked]).runAsync()));

// A log axis from low to high, labelled at those of the values that lie on it, or at its ends where fewer than two do.
function log(field, title, low, high, values, label, scale) {
  const within = values.filter((value) => low <= value && value <= high);
  return {
    field, title, type: "quantitative",
    scale: { type: "log", domain: [low, high], ...scale },
    axis: { values: within.length > 1 ? within : [low, high], labelOverlap: true, labelSeparation: 6, labelExpr: label },
  };
}

// (a) The score at every learning rate, and (b) at every rate that is off; `across` is a column of the rows.
function drawSensitivity(id, across, title, label) {
  const rows = study.sensitivity.filter((row) => row[across] !== null);
  if (!rows.length) return document.querySelector("#" + id).parentElement.remove(); // schedules alone, or no best rate
  const along = rows.map((row) => row[across]);
  const errors = study.sensitivity.map((row) => row.error).filter((error) => error > 0);
  const [least, most] = [0.9 * Math.min(1, ...errors), Math.max(0.001, ...errors)]; // whatever is known
  const x = log(across, title, Math.min(...along), Math.max(...along), Array.from({ length: 41 }, (_, i) => 10 ** (i - 20)),
    label, { nice: false, padding: 14 });
  const y = log("error", study.title.toLowerCase() + ", " + study.unit, least, most,
    [5, 2, 1, 0.9, 0.5, 0.2, 0.1, 0.05, 0.02, 0.01, 0.005, 0.002, 0.001],
    study.unit === "%" ? "format(100 - 100 * datum.value, '.2~f')" : "format(datum.value, '~')",
    { domain: [most, least], clamp: true });
  const tooltip = hover({ optimizer: "optimizer", rate: "learning rate", times: "times the default", score: study.title.toLowerCase() });
  const points = (mark, encoding, filter = "isValid(datum.error)") => ({
    transform: [{ filter }],
    mark: { type: "point", filled: true, ...mark },
    encoding: { y, opacity: opacity(1), tooltip, ...encoding },
  });
  const star = "M0,-1L.22,-.31L.95,-.31L.36,.12L.59,.81L0,.38L-.59,.81L-.36,.12L-.95,-.31L-.22,-.31Z";
  return draw(id, study.title + " by " + title + ", a line for each optimizer", {
    height: 360,
    data: { values: rows },
    encoding: { x, color },
    layer: [
      { data: { name: "rows", values: [] }, mark: "rule", encoding: { color: { value: "var(--text)" } } },
      { mark: "area", encoding: { y: { ...y, field: "most" }, y2: { field: "least" }, opacity: opacity(0.18) } },
      { mark: "line", encoding: { y, strokeDash, opacity: opacity(1) } },
      points({ size: 45 }, { shape }),
      points({ size: 500, stroke: "var(--card)", shape: star }, {}, "isValid(datum.error) && datum.offset === 0"),
      points({ size: 90, stroke: "var(--card)" }, {}, "isValid(datum.error) && datum.place === " + study.default),
      points({ size: 80, filled: false, shape: "triangle-down" }, { y: { value: 352 } }, "!isValid(datum.error)"),
    ],
  });
}
function showForgiving(offset) {
  const rows = study.optimizers
    .map(({ name }) => study.sensitivity.find((row) => row.optimizer === name && row.offset === offset) ?? { optimizer: name, score: "not tried" })
    .sort((a, b) => (a.error ?? (a.place === undefined ? 3 : 2)) - (b.error ?? (b.place === undefined ? 3 : 2)));
  const words = rows.map((row) => row.optimizer + " " + row.score).join("; ") + ".";
  write("#forgiving_words", words.replaceAll(" %", "\u00a0%")); // a number and its percent sign stay on one line
  return show("forgiving_chart", rows.filter((row) => row.best).slice(0, 1));
}

// (c) Loss curves of every optimizer at one factor.
function drawLosses() {
  const finite = study.losses.flatMap((curve) => curve.losses).filter((loss) => loss > 0);
  const [low, high] = [Math.min(10, ...finite), Math.min(10, Math.max(0.001, ...finite))];
  const last = Math.max(...study.losses.map((curve) => curve.losses.length));
  // Where Vega chooses the labels of two epochs, it writes "1 2 2".
  const values = last > 20 ? undefined : Array.from({ length: last }, (_, i) => i + 1);
  const axis = { values, format: "d", labelOverlap: true };
  const x = { field: "epoch", type: "quantitative", axis, scale: { domain: [1, last], nice: false } };
  const y = log("loss", "validation loss, nats", low, high, [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10],
    "format(datum.value, '.2~f')", { clamp: true });
  const tooltip = hover({ optimizer: "optimizer", epoch: "epoch", loss: "validation loss" });
  return draw("losses_chart", "Validation loss by epoch, a line for each optimizer; the words below say how it ends", {
    height: 320,
    encoding: { x, y, color, opacity: opacity(1) },
    layer: [
      { mark: "line", encoding: { strokeDash } },
      { mark: { type: "point", filled: true, size: 40 }, encoding: { shape, tooltip } },
    ],
  });
}
function showLosses(place) {
  const curves = study.losses.filter((curve) => curve.place === place)
    .sort((a, b) => (a.losses.at(-1) ?? Infinity) - (b.losses.at(-1) ?? Infinity));
  const words = curves.map(({ optimizer, losses }) => optimizer + " " + (losses.at(-1)?.toPrecision(3) ?? "diverged"));
  write("#losses_words", "Validation loss after the last epoch: " + words.join("; ") + ".");
  const rows = curves.flatMap(({ optimizer, losses }) => losses.map((loss, i) => ({ optimizer, epoch: i + 1, loss })));
  return show("losses_chart", rows.filter((row) => row.loss !== null));
}

// (d) Paths over the surfaces at one factor.
const pairs = (flat) => Array.from({ length: flat.length / 2 }, (_, step) => ({ step, x: flat[2 * step], y: flat[2 * step + 1] }));
function drawMap(surface, i) {
  const card = document.createElement("div");
  card.className = "chart";
  card.innerHTML = "<h3>" + surface.name + '</h3><div id="map' + i + '"></div><p class="note" role="status"></p>';
  document.querySelector(".maps").append(card);
  const scale = { domain: [-study.plot_range, study.plot_range] };
  const place = (field) => ({ field, type: "quantitative", title: null, scale, axis: { tickCount: 5, grid: false } });
  const contours = surface.contours.flatMap((flat, line) => pairs(flat).map((point) => ({ ...point, line })));
  const tooltip = hover({ optimizer: "optimizer" });
  return draw("map" + i, "Paths over the surface " + surface.name + "; the words below say which leave it", {
    width: 250,
    height: 250,
    autosize: "pad",
    encoding: { x: place("x"), y: place("y"), order: { field: "step" } },
    layer: [
      { data: { values: contours }, mark: { type: "line", clip: true, color: "var(--line)", strokeWidth: 0.7 }, encoding: { detail: { field: "line" } } },
      { mark: { type: "line", clip: true, strokeWidth: 1.6 }, encoding: { color, strokeDash, opacity: opacity(1), tooltip } },
      { data: { values: pairs(surface.start) }, mark: { type: "point", filled: true, size: 80, opacity: 1, color: "var(--text)" } },
    ],
  });
}
function showMap(surface, i, place) {
  const paths = surface.paths.filter((path) => path.place === place);
  const left = paths.filter((path) => path.left !== null).sort((a, b) => a.left - b.left);
  write("#map" + i + " + p", !paths.length ? "No paths were traced at this factor." :
    "Leave the picture at step: " + (left.map((path) => path.optimizer + " " + path.left).join(", ") || "none") + ".");
  return show("map" + i, paths.flatMap(({ optimizer, points }) => pairs(points).map((point) => ({ optimizer, ...point }))));
}

// A slider moves over whole steps from min to max.
function slide(id, min, max, value, label, move) {
  const input = document.querySelector(id);
  const moved = () => {
    const text = label(Number(input.value));
    input.setAttribute("aria-valuetext", text);
    write(id + " + output", text);
    return move(Number(input.value));
  };
  Object.assign(input, { min, max, value });
  input.addEventListener("input", moved);
  return moved();
}

async function play() {
  const folded = document.querySelectorAll("details[open]");
  for (const table of folded) table.open = false;
  addEventListener("beforeprint", () => { for (const table of folded) table.open = true; });
  await Promise.all([
    drawSensitivity("sensitivity_chart", "rate", "learning rate", "format(datum.value, '~')"),
    drawSensitivity("forgiving_chart", "best", "learning rate, times the best",
      "datum.value < 1 ? '÷ ' + format(1 / datum.value, ',.2~r') : '× ' + format(datum.value, ',.2~r')"),
    drawLosses(),
    ...study.surfaces.map(drawMap),
  ]);
  const tried = Map.groupBy(study.sensitivity.filter((row) => row.offset !== null), (row) => row.offset);
  const offsets = [...tried.keys()].filter((offset) => 2 * tried.get(offset).length >= study.optimizers.length);
  if (!offsets.length) document.querySelector("[aria-labelledby=forgiving]").remove();
  else await slide("#offset", Math.min(...offsets), Math.max(...offsets), 0, (offset) => tried.get(offset)[0].off, showForgiving);
  await slide("#factor", 0, study.factors.length - 1, study.default, (place) => study.factors[place],
    (place) => Promise.all([showLosses(place), ...study.surfaces.map((surface, i) => showMap(surface, i, place))]));
}

// Where the charts cannot be drawn, what stands in for them stays.
play().catch((error) => {
  document.documentElement.classList.remove("playing");
  console.error(error);
});
