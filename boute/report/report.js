"use strict";
// Draws the plots of the report and shows the plan that is picked. All text that comes from the
// study is escaped before it gets here, because plotly reads some markup in what it draws.
(() => {
  const data = JSON.parse(document.getElementById("report-data").textContent);
  const byId = (id) => document.getElementById(id);
  const chosen = data.plans[0].name;
  const narrow = window.matchMedia("(max-width: 640px)");
  const still = { responsive: true, displayModeBar: false };
  const options = { responsive: true, displaylogo: false, displayModeBar: true,
    modeBarButtons: [["zoom2d", "pan2d", "resetScale2d", "toImage"]] };
  const pickers = ["x", "y", "colour", "size"].map((name) => byId("axis-" + name));
  let selected = chosen;

  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue("--" + name).trim();

  function layout(extra) {
    const axis = { gridcolor: colour("line"), zeroline: false, linecolor: colour("line"),
      tickcolor: colour("line"), automargin: true, title: { standoff: 10 } };
    const base = { paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", hovermode: "closest",
      font: { family: getComputedStyle(document.body).fontFamily, size: 12.5, color: colour("muted") },
      hoverlabel: { bgcolor: colour("card"), bordercolor: colour("line"), align: "left",
        font: { color: colour("ink"), size: 13 } },
      modebar: { bgcolor: "rgba(0,0,0,0)", color: colour("faint"), activecolor: colour("accent") },
      margin: { l: 48, r: 16, t: 12, b: 44 }, showlegend: false };
    const merged = Object.assign(base, extra);
    merged.xaxis = Object.assign({}, axis, extra.xaxis);
    merged.yaxis = Object.assign({}, axis, extra.yaxis);
    return merged;
  }

  function picked() {
    const [x, y, hue, size] = pickers.map((picker) => (picker.value === "" ? null : Number(picker.value)));
    return { x, y, hue, size };
  }

  function sizes(axis) {
    if (axis === null) return data.plans.map(() => 13);
    const values = data.plans.map((plan) => plan.values[axis]);
    const low = Math.min(...values), span = Math.max(...values) - low || 1;
    return values.map((value) => 9 + (15 * (value - low)) / span);
  }

  function trials(kind, symbol, axes) {
    const points = data[kind];
    return { type: "scatter", mode: "markers", name: kind, x: points.values.map((v) => v[axes.x]),
      y: points.values.map((v) => v[axes.y]), text: points.hover, hovertemplate: "%{text}<extra></extra>",
      marker: { symbol, size: 7, color: colour("faint"), opacity: 0.6 } };
  }

  function frontTrace(axes) {
    const size = sizes(axes.size);
    const marker = { size, symbol: data.plans.map((plan) => (plan.name === chosen ? "diamond" : "circle")),
      color: colour("accent"), opacity: 1,
      line: { color: data.plans.map((plan) => colour(plan.name === selected ? "ink" : "card")),
        width: data.plans.map((plan) => (plan.name === selected ? 3 : 1)) } };
    if (axes.hue !== null) {
      marker.color = data.plans.map((plan) => plan.values[axes.hue]);
      marker.colorscale = [0, 1, 2, 3, 4].map((step) => [step / 4, colour("scale" + step)]);
      marker.colorbar = { title: { text: data.axes[axes.hue].short, side: "top" }, orientation: "h", thickness: 8,
        outlinewidth: 0, x: 0, xanchor: "left", y: 1.02, yanchor: "bottom", lenmode: "pixels", len: 260 };
    }
    return { type: "scatter", mode: "markers", name: "front", x: data.plans.map((plan) => plan.values[axes.x]),
      y: data.plans.map((plan) => plan.values[axes.y]), text: data.plans.map((plan) => plan.hover),
      hovertemplate: "%{text}<extra></extra>", marker };
  }

  function drawFront() {
    const axes = picked();
    const all = byId("show-all").checked;
    const scale = (axis) => Object.assign({ title: { text: title(axis), standoff: 10 } },
      all ? { autorange: true } : { autorange: false, range: [...data.axes[axis].range] });
    const traces = [trials("dominated", "circle", axes), trials("infeasible", "x-thin-open", axes), frontTrace(axes)];
    const [best] = data.plans;
    const note = { x: best.values[axes.x], y: best.values[axes.y], text: "chosen", showarrow: false, yshift: 18,
      font: { color: colour("ink"), size: 13 } };
    const top = axes.hue === null ? 12 : 64;
    Plotly.react("front-plot", traces, layout({ xaxis: scale(axes.x), yaxis: scale(axes.y), annotations: [note],
      margin: { l: 48, r: 16, t: top, b: 44 } }), options);
  }

  const title = (axis) => (narrow.matches ? data.axes[axis].short : data.axes[axis].title);

  function drawCurves() {
    for (const [name, curve] of Object.entries(data.curves)) {
      const line = (plan, style, role) => ({ type: "scatter", mode: "lines", name: role, x: curve.plans[plan] || [],
        y: data.quantiles, line: style, hovertemplate: "%{y:.0%} within %{x:.3~g}<extra>" + plan + "</extra>" });
      const traces = [line(selected, { color: colour("accent"), width: 2.5 }, "selected")];
      if (selected !== chosen) traces.unshift(line(chosen, { color: colour("faint"), width: 1.5 }, "chosen"));
      traces.push({ type: "scatter", mode: "markers", name: "targets", x: curve.targets.map((t) => t.x),
        y: curve.targets.map((t) => t.y), text: curve.targets.map((t) => t.text), hovertemplate: "%{text}<extra></extra>",
        marker: { symbol: "diamond", size: 10, color: colour("ink"), line: { color: colour("card"), width: 1 } } });
      Plotly.react("curve-" + name, traces, layout({ xaxis: { title: { text: curve.title, standoff: 10 }, range: [0, curve.highest] },
        yaxis: { range: [0, 1.02], tickformat: ".0%", dtick: 0.25 } }), still);
    }
    byId("curve-plan").textContent = selected;
  }

  function drawProgress() {
    const trace = { type: "scatter", mode: "lines", name: "hypervolume", x: data.progress.x, y: data.progress.y,
      text: data.progress.hover, line: { color: colour("accent"), width: 2.5, shape: "hv" },
      hovertemplate: "%{y:.4f} after %{x} evaluations %{text}<extra></extra>" };
    Plotly.react("progress-plot", [trace], layout({ xaxis: { title: { text: "Evaluations", standoff: 10 }, rangemode: "tozero" },
      yaxis: { title: { text: "Hypervolume, 0 to 1", standoff: 10 }, rangemode: "tozero" } }), still);
  }

  function draw() { drawFront(); drawCurves(); drawProgress(); }

  function select(name) {
    selected = name;
    for (const part of document.querySelectorAll("section.plan")) part.hidden = part.dataset.plan !== name;
    for (const row of document.querySelectorAll("#front-table tbody tr")) {
      row.classList.toggle("selected", row.dataset.plan === name);
      row.querySelector("button").setAttribute("aria-pressed", String(row.dataset.plan === name));
    }
    drawFront();
    drawCurves();
  }

  function fill(picker, value, mayBeEmpty) {
    if (mayBeEmpty) picker.add(new Option("none", ""));
    data.axes.forEach((axis, index) => picker.add(new Option(axis.label, String(index))));
    picker.value = value < data.axes.length ? String(value) : "";
    picker.addEventListener("change", drawFront);
  }

  pickers.forEach((picker, index) => fill(picker, index, index > 1));
  byId("show-all").addEventListener("change", drawFront);
  for (const row of document.querySelectorAll("#front-table tbody tr")) {
    row.addEventListener("click", () => select(row.dataset.plan));
  }
  draw();
  byId("front-plot").on("plotly_click", (event) => {
    const point = event.points.find((each) => each.data.name === "front");
    if (point) select(data.plans[point.pointIndex].name);
  });
  window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  narrow.addEventListener("change", draw);
  window.addEventListener("beforeprint", () => { document.documentElement.classList.add("printing"); draw(); });
  window.addEventListener("afterprint", () => { document.documentElement.classList.remove("printing"); draw(); });
})();
