"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const SVG = "http://www.w3.org/2000/svg";
  const state = { metric: data.metrics[0].name, rate: "log", hidden: new Set() };
  const figures = [...document.querySelectorAll("figure.plot")];
  const announcer = document.getElementById("announcer");
  const metricOf = (name) => data.metrics.find((metric) => metric.name === name);

  function element(name, attributes, parent, text) {
    const made = document.createElementNS(SVG, name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    if (text !== undefined) made.textContent = text;
    if (parent) parent.append(made);
    return made;
  }

  // Outlines of the markers about 0, 0.
  const polygon = (corners, radius, turn) =>
    "M" + Array.from({ length: corners }, (_, i) => {
      const angle = (2 * Math.PI * i) / corners + turn;
      return `${(radius * Math.sin(angle)).toFixed(2)},${(-radius * Math.cos(angle)).toFixed(2)}`;
    }).join("L") + "Z";
  const plus = "M-1.6,-5H1.6V-1.6H5V1.6H1.6V5H-1.6V1.6H-5V-1.6H-1.6Z";
  const star = "M" + Array.from({ length: 10 }, (_, i) => {
    const radius = i % 2 ? 2.7 : 6.4, angle = (Math.PI * i) / 5;
    return `${(radius * Math.sin(angle)).toFixed(2)},${(-radius * Math.cos(angle)).toFixed(2)}`;
  }).join("L") + "Z";
  const OUTLINES = {
    circle: "M-4.2,0a4.2,4.2 0 1 0 8.4,0a4.2,4.2 0 1 0 -8.4,0Z",
    square: "M-3.9,-3.9H3.9V3.9H-3.9Z",
    triangle: polygon(3, 5.6, 0),
    diamond: polygon(4, 5.4, 0),
    wedge: polygon(3, 5.6, Math.PI),
    plus: plus,
    cross: plus,
    hexagon: polygon(6, 4.9, 0),
    anchor: star,
  };
  const marker = (entry, x, y, parent) =>
    element("path", {
      class: "mark", d: OUTLINES[entry.marker],
      transform: `translate(${x.toFixed(1)} ${y.toFixed(1)})${entry.marker === "cross" ? " rotate(45)" : ""}`,
    }, parent);
  const line = (entry) => ({
    class: "ink", "stroke-width": entry.anchor ? 2.6 : 1.9,
    ...(entry.dash.length ? { "stroke-dasharray": entry.dash.map((part) => part * 1.5).join(" ") } : {}),
  });

  // Text in a figure that is not shown has no width of its own, so it is measured apart.
  const ruler = document.createElement("canvas").getContext("2d");
  ruler.font = `600 13px ${getComputedStyle(document.body).fontFamily}`;
  const widthOf = (text) => ruler.measureText(text).width;

  function niceTicks(low, high, wanted) {
    const rough = (high - low) / wanted, power = 10 ** Math.floor(Math.log10(rough));
    const step = [1, 2, 5, 10].map((k) => k * power).find((size) => size >= rough);
    const ticks = [];
    for (let k = Math.ceil(low / step - 1e-9); k * step <= high + 1e-9 * step; k++) ticks.push(Number((k * step).toPrecision(12)));
    return ticks;
  }
  function logTicks(low, high, room) {
    const of = (factors) => {
      const ticks = [];
      for (let power = Math.floor(Math.log10(low)); power <= Math.ceil(Math.log10(high)); power++)
        for (const factor of factors) {
          const tick = Number((factor * 10 ** power).toPrecision(12));
          if (tick >= low && tick <= high) ticks.push(tick);
        }
      return ticks;
    };
    const fine = of([1, 2, 3, 5, 7]), usual = of([1, 2, 5]), coarse = of([1]);
    if (usual.length < 4 && fine.length <= room) return fine;
    return usual.length <= room || coarse.length < 2 ? usual : coarse;
  }

  // Labels on one side, as near to their curves' ends as their height allows: groups that would
  // overlap are stacked about their mean.
  function spread(labels, height, low, high) {
    labels.sort((a, b) => a.y - b.y);
    const groups = [];
    labels.forEach((label, i) => {
      let group = { sum: label.y - i * height, count: 1 };
      while (groups.length && groups.at(-1).sum / groups.at(-1).count > group.sum / group.count) {
        const above = groups.pop();
        group = { sum: above.sum + group.sum, count: above.count + group.count };
      }
      groups.push(group);
    });
    const shifts = groups.flatMap((group) => Array(group.count).fill(group.sum / group.count));
    const last = high - (labels.length - 1) * height;
    labels.forEach((label, i) => { label.at = Math.max(low, Math.min(last, shifts[i])) + i * height; });
  }

  function draw(figure, width) {
    const metric = metricOf(figure.dataset.metric);
    const canvas = figure.querySelector(".canvas");
    const all = data.entries.filter((entry) => entry.curves[metric.name]);
    const entries = all.filter((entry) => !state.hidden.has(entry.index));
    const narrow = width < 620;
    figure.classList.toggle("narrow", narrow);
    const height = Math.round(Math.min(580, Math.max(360, width * 0.58)));
    const svg = element("svg", { viewBox: `0 0 ${width} ${height}`, "aria-hidden": "true" });
    canvas.replaceChildren(svg);
    figure.points = [];
    if (!entries.length) {
      element("text", { x: width / 2, y: height / 2, "text-anchor": "middle" }, svg, "All curves are hidden.");
      return;
    }
    // Names that are alike often differ at their end.
    const longest = 22;
    const shortened = (name) => (name.length > longest ? name.slice(0, longest - 9) + "\u2026" + name.slice(-8) : name);
    const labelled = entries.map((entry) => (narrow ? entry.key : shortened(entry.name)));
    const labelWidth = Math.max(...labelled.map(widthOf));
    const box = { left: narrow ? 40 : 58, right: width - labelWidth - (narrow ? 14 : 34), top: 30, bottom: height - 48 };

    const points = entries.flatMap((entry) => entry.curves[metric.name]);
    const rates = points.map((point) => point.rate), values = points.map((point) => point.value);
    const logarithmic = state.rate === "log";
    const forward = logarithmic ? Math.log : (rate) => rate;
    let [x0, x1] = logarithmic ? [Math.log(Math.min(...rates)), Math.log(Math.max(...rates))] : [0, Math.max(...rates)];
    const slack = 0.03 * (x1 - x0) || 0.1;
    if (logarithmic) x0 -= slack;
    x1 += slack;
    let [y0, y1] = [Math.min(...values), Math.max(...values)];
    const lift = 0.04 * (y1 - y0) || 0.5;
    y0 -= lift; y1 += lift;
    const X = (rate) => box.left + ((forward(rate) - x0) / (x1 - x0)) * (box.right - box.left);
    const Y = (value) => box.bottom - ((value - y0) / (y1 - y0)) * (box.bottom - box.top);

    const back = element("g", {}, svg);
    const ticks = logarithmic
      ? logTicks(Math.exp(x0), Math.exp(x1), (box.right - box.left) / 34)
      : niceTicks(0, x1, Math.max(3, Math.floor((box.right - box.left) / 90)));
    for (const tick of ticks) {
      const x = X(tick).toFixed(1);
      element("line", { class: "grid", x1: x, x2: x, y1: box.top, y2: box.bottom }, back);
      element("text", { x, y: box.bottom + 19, "text-anchor": "middle" }, back, String(tick));
    }
    for (const tick of niceTicks(y0, y1, Math.max(4, Math.floor((box.bottom - box.top) / 54)))) {
      const y = Y(tick).toFixed(1);
      element("line", { class: "grid", x1: box.left, x2: box.right, y1: y, y2: y }, back);
      element("text", { x: box.left - 9, y, dy: "0.35em", "text-anchor": "end" }, back, String(tick));
    }
    element("line", { class: "axis", x1: box.left, x2: box.right, y1: box.bottom, y2: box.bottom }, back);
    element("text", { class: "title", x: 0, y: 14 }, back, metric.title);
    element("text", { class: "title", x: box.right, y: height - 6, "text-anchor": "end" }, back,
      `Rate, ${data.rate.words}${logarithmic ? " (logarithmic)" : ""}`);

    // The anchor, last in the list, is drawn first: whatever is compared with it lies on top.
    const labels = [];
    [...entries].sort((a, b) => b.anchor - a.anchor).forEach((entry) => {
      const group = element("g", { class: `curve c${entry.colour}`, "data-entry": entry.index }, svg);
      const at = entry.curves[metric.name].map((point) => ({ ...point, entry, x: X(point.rate), y: Y(point.value) }));
      element("path", { d: "M" + at.map((p) => `${p.x.toFixed(1)},${p.y.toFixed(1)}`).join("L"), ...line(entry) }, group);
      at.forEach((point) => { point.mark = marker(entry, point.x, point.y, group); });
      figure.points.push(...at);
      const end = at[at.length - 1];
      labels.push({ entry, group, end, y: end.y, text: narrow ? entry.key : shortened(entry.name) });
    });
    spread(labels, 17, box.top + 4, box.bottom - 6);
    const column = box.right + (narrow ? 9 : 24);
    for (const label of labels) {
      const from = label.end.x + 8, to = column - 5;
      if (to - from > 6) element("path", { class: "lead", d: `M${from.toFixed(1)},${label.end.y.toFixed(1)}L${Math.max(from, box.right).toFixed(1)},${label.end.y.toFixed(1)}L${to.toFixed(1)},${label.at.toFixed(1)}` }, label.group);
      element("text", { class: "label", x: column, y: label.at, dy: "0.35em" }, label.group, label.text);
    }
    figure.ring = element("circle", { class: "ring", r: 8.5, visibility: "hidden" }, svg);
    figure.scale = width;
  }

  function redraw(fixed) {
    const shown = figures.find((figure) => !figure.classList.contains("off")) || figures[0];
    const width = fixed || Math.max(280, Math.round(shown.clientWidth));
    for (const figure of figures) { leave(figure); draw(figure, width); }
  }

  const factsOf = (point, metric) => [
    point.entry.name + (point.label ? `, ${point.label}` : ""),
    `${point.rate.toFixed(data.rate.digits)} ${data.rate.unit}`,
    `${point.value.toFixed(metric.digits)}${metric.unit ? " " + metric.unit : ""} ${metric.short}`,
  ];

  function show(figure, point, aloud) {
    const metric = metricOf(figure.dataset.metric), tip = figure.querySelector(".tip");
    const canvas = figure.querySelector(".canvas");
    figure.current = point;
    figure.ring.setAttribute("cx", point.x);
    figure.ring.setAttribute("cy", point.y);
    figure.ring.setAttribute("visibility", "visible");
    for (const group of figure.querySelectorAll(".curve"))
      group.classList.toggle("faded", Number(group.dataset.entry) !== point.entry.index);
    const [name, ...facts] = factsOf(point, metric);
    const heading = document.createElement("b");
    heading.textContent = name;
    tip.replaceChildren(heading, facts.join(" \u00b7 "));
    tip.hidden = false;
    const scale = canvas.clientWidth / figure.scale;
    const room = figure.clientWidth - tip.offsetWidth;
    tip.style.left = `${Math.max(0, Math.min(room, point.x * scale - tip.offsetWidth / 2))}px`;
    const above = point.y * scale - tip.offsetHeight - 16;
    tip.style.top = `${above >= -8 ? above : point.y * scale + 18}px`;
    if (aloud) announcer.textContent = [name, ...facts].join(", ");
  }

  function leave(figure) {
    figure.current = null;
    figure.querySelector(".tip").hidden = true;
    if (figure.ring) figure.ring.setAttribute("visibility", "hidden");
    for (const group of figure.querySelectorAll(".faded")) group.classList.remove("faded");
  }

  function step(figure, key) {
    const curves = data.entries
      .map((entry) => figure.points.filter((point) => point.entry === entry))
      .filter((curve) => curve.length);
    if (!curves.length) return;
    const now = figure.current;
    if (!now) return show(figure, curves[0][0], true);
    const row = curves.findIndex((curve) => curve.includes(now)), place = curves[row].indexOf(now);
    if (key === "ArrowLeft" || key === "ArrowRight") {
      const next = place + (key === "ArrowRight" ? 1 : -1);
      return show(figure, curves[row][Math.max(0, Math.min(curves[row].length - 1, next))], true);
    }
    const other = curves[(row + (key === "ArrowDown" ? 1 : curves.length - 1)) % curves.length];
    show(figure, other.reduce((a, b) => (Math.abs(a.x - now.x) <= Math.abs(b.x - now.x) ? a : b)), true);
  }

  for (const figure of figures) {
    const canvas = figure.querySelector(".canvas");
    const follow = (event) => {
      const bounds = canvas.getBoundingClientRect(), scale = bounds.width / figure.scale;
      const x = (event.clientX - bounds.left) / scale, y = (event.clientY - bounds.top) / scale;
      let best = null, least = event.pointerType === "touch" ? 60 : 36;
      for (const point of figure.points) {
        const distance = Math.hypot(point.x - x, point.y - y);
        if (distance < least) [best, least] = [point, distance];
      }
      if (best) show(figure, best, false);
      else leave(figure);
    };
    canvas.addEventListener("pointermove", follow);
    canvas.addEventListener("pointerdown", follow);
    canvas.addEventListener("pointerleave", (event) => { if (event.pointerType !== "touch") leave(figure); });
    canvas.addEventListener("blur", () => leave(figure));
    canvas.addEventListener("keydown", (event) => {
      if (event.key === "Escape") leave(figure);
      else if (event.key.startsWith("Arrow")) { event.preventDefault(); step(figure, event.key); }
    });
  }

  for (const swatch of document.querySelectorAll(".swatch")) {
    const entry = data.entries[Number(swatch.dataset.entry)];
    element("path", { d: "M1,7H43", ...line(entry) }, swatch);
    marker(entry, 22, 7, swatch);
  }
  for (const button of document.querySelectorAll(".legend button"))
    button.addEventListener("click", () => {
      const index = Number(button.dataset.entry), hide = !state.hidden.has(index);
      if (hide) state.hidden.add(index); else state.hidden.delete(index);
      for (const twin of document.querySelectorAll(`.legend button[data-entry="${index}"]`))
        twin.setAttribute("aria-pressed", String(!hide));
      redraw();
    });

  function showMetric() {
    for (const part of document.querySelectorAll("[data-metric]"))
      part.classList.toggle("off", part.dataset.metric !== state.metric);
  }
  for (const input of document.querySelectorAll(".controls input")) {
    // A reloaded page may keep its buttons as they were.
    if (input.checked) state[input.name] = input.value;
    input.addEventListener("change", () => { state[input.name] = input.value; showMetric(); redraw(); });
  }

  for (const viewer of document.querySelectorAll(".viewer")) {
    const pictures = [...viewer.querySelectorAll(".sheet figure")], stage = viewer.querySelector(".stage");
    const pick = (side, layer, facts) => {
      const select = viewer.querySelector(side), shown = document.createElement("img");
      shown.className = layer;
      stage.prepend(shown);
      const update = () => {
        const figure = pictures[Number(select.value)];
        shown.src = figure.querySelector("img").src;
        shown.alt = figure.querySelector("img").alt;
        const name = figure.querySelector("strong").textContent, numbers = figure.querySelector(".facts").textContent;
        viewer.querySelector(facts).textContent = numbers ? `${name}: ${numbers}` : name;
      };
      select.addEventListener("change", update);
      update();
    };
    pick("select.left", "over", ".left-facts");
    pick("select.right", "under", ".right-facts");
    const slider = stage.querySelector("input");
    const cut = () => stage.style.setProperty("--cut", `${slider.value}%`);
    slider.addEventListener("input", cut);
    cut();
    viewer.querySelector(".compare").hidden = false;
  }

  // On paper everything is open and at the width of the paper, whatever the window's is.
  let closed = [], hidden = new Set();
  window.addEventListener("beforeprint", () => {
    closed = [...document.querySelectorAll("details:not([open])")];
    for (const part of closed) part.open = true;
    hidden = state.hidden;
    state.hidden = new Set();
    redraw(760);
  });
  window.addEventListener("afterprint", () => {
    for (const part of closed) part.open = false;
    state.hidden = hidden;
    redraw();
  });
  let waiting = 0;
  window.addEventListener("resize", () => { cancelAnimationFrame(waiting); waiting = requestAnimationFrame(() => redraw()); });
  showMetric();
  redraw();
})();
