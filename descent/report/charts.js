"use strict";
// What the pages that draw with Vega share. Their numbers stand in a script element of JSON.
const numbers = JSON.parse(document.querySelector("#numbers").textContent);
const names = numbers.optimizers.map((optimizer) => optimizer.name);
const picked = new Set();
const views = {};

// How every optimizer looks, in each chart alike. As long as none is picked, all are shown.
const scaled = (key) => ({
  field: "optimizer",
  type: "nominal",
  scale: { domain: names, range: numbers.optimizers.map((optimizer) => optimizer[key]) },
  legend: null,
});
const color = scaled("color");
const strokeDash = scaled("dash");
const shape = scaled("shape");
const opacity = (value) => ({
  condition: { test: "!length(picked) || indexof(picked, datum.optimizer) >= 0", value },
  value: 0.15 * value,
});
const epochs = (last) => ({
  field: "epoch",
  type: "quantitative",
  axis: { tickMinStep: 1, format: "d" },
  scale: { domain: [1, last], nice: false },
});
const hover = (titles) => Object.entries(titles).map(([field, title]) => ({ field, title, type: "nominal" }));

async function draw(id, description, specification) {
  const { view } = await vegaEmbed("#" + id, {
    description,
    width: "container",
    autosize: { type: "fit-x", contains: "padding", resize: true },
    params: [{ name: "picked", value: [] }],
    data: { name: "rows" },
    config: {
      background: "transparent",
      font: "system-ui, sans-serif",
      axis: { aria: false, labelFontSize: 12, titleFontSize: 12, titleFontWeight: "normal" },
      mark: { aria: false },
      view: { stroke: null },
    },
    ...specification,
  }, { renderer: "svg", actions: false });
  view.addEventListener("click", (event, item) => item?.datum?.optimizer && pick(item.datum.optimizer));
  views[id]?.finalize();
  views[id] = view;
  return view.signal("picked", [...picked]).runAsync(); // the choice may have changed meanwhile
}

const show = (id, rows, name = "rows") => views[id].data(name, rows).runAsync();

function pick(name) {
  if (!picked.delete(name)) picked.add(name);
  for (const button of document.querySelectorAll(".picks button")) {
    button.setAttribute("aria-pressed", picked.has(button.textContent));
  }
  for (const view of Object.values(views)) view.signal("picked", [...picked]).runAsync();
}

function offerPicks() {
  for (const { name, color, dash } of numbers.optimizers) {
    const button = document.createElement("button");
    button.type = "button";
    button.setAttribute("aria-pressed", false);
    button.innerHTML = '<svg class="swatch" viewBox="0 0 34 16" aria-hidden="true"><path d="M3 8H31" stroke-width="3"/></svg>';
    button.querySelector("path").setAttribute("stroke", color);
    button.querySelector("path").setAttribute("stroke-dasharray", dash.join(" "));
    button.append(name);
    button.addEventListener("click", () => pick(name));
    document.querySelector(".picks").append(button);
  }
}

// A chart with a heading, in a grid of them; `id` is that of the chart.
function addCard(grid, id, title) {
  const card = document.createElement("div");
  card.className = "chart";
  card.innerHTML = "<h3></h3><div></div>";
  card.querySelector("h3").textContent = title;
  card.querySelector("div").id = id;
  grid.append(card);
  return card;
}

// Where the charts cannot be drawn, what stands in for them stays.
function bring(play) {
  document.documentElement.classList.add("playing");
  offerPicks();
  play().catch((error) => {
    document.documentElement.classList.remove("playing");
    console.error(error);
  });
}
