// Move the discs of two raters and two samples: what pairs share, how far their surfaces are apart, how far the sets.
// Every rule is that of labutils.metrics: overlap.py, surface.py and disagreement.py, with its masks that are empty.

const GRABBED = 3; // array pixels around a center that still take hold of a disc smaller than that

// ---- the numbers: masks are arrays of 0 and 1, row after row -------------------------------------------------------

// Pixels nearer to the center than the radius; none at radius 0.
function discOf([x, y, radius], size) {
  return Uint8Array.from({ length: size * size }, (_, i) => {
    const [row, column] = [Math.floor(i / size), i % size];
    return (row - y) ** 2 + (column - x) ** 2 < radius ** 2;
  });
}

// [row, column] of each pixel with a face neighbor outside the mask; outside the picture is outside.
function surfaceOf(mask, size) {
  const at = (row, column) => row >= 0 && column >= 0 && row < size && column < size && mask[row * size + column];
  const found = [];
  for (let row = 0; row < size; row++)
    for (let column = 0; column < size; column++) {
      const around = at(row - 1, column) && at(row + 1, column) && at(row, column - 1) && at(row, column + 1);
      if (at(row, column) && !around) found.push([row, column]);
    }
  return found;
}

// Between the sorted values at both sides of the place, as numpy does.
function percentile(values, percent) {
  const sorted = [...values].sort((one, other) => one - other);
  const place = ((sorted.length - 1) * percent) / 100;
  const [low, high] = [sorted[Math.floor(place)], sorted[Math.ceil(place)]];
  return low + (high - low) * (place - Math.floor(place));
}

// [HD95, mean] in units of a pixel: both empty are at distance 0, and to one that is empty there is no distance.
function surfaceDistances(a, b) {
  if (!a.length || !b.length) return a.length === b.length ? [0, 0] : [NaN, NaN];
  const nearest = (from, to) => from.map((p) => Math.min(...to.map((q) => Math.hypot(p[0] - q[0], p[1] - q[1]))));
  const [there, back] = [nearest(a, b), nearest(b, a)];
  return [Math.max(percentile(there, 95), percentile(back, 95)), mean([...there, ...back])];
}

// Two samples and two raters: all numbers shown. Pairs stand as [sample][rater].
function compare(samples, raters, size, pixelMm) {
  const surfaces = new Map([...samples, ...raters].map((mask) => [mask, surfaceOf(mask, size)]));
  const pairs = (found) => samples.map((s) => raters.map((y) => found(s, y)));
  const distances = pairs((s, y) => surfaceDistances(surfaces.get(s), surfaces.get(y)).map((px) => px * pixelMm));
  const iou = pairs((s, y) => overlap(s, y)[0]);
  const assd = distances.map((row) => row.map((pair) => pair[1]));
  const defined = assd.flat().filter((one) => !Number.isNaN(one));
  const cross = 2 * (1 - mean(iou.flat()));
  const within = [samples, raters].map(([first, second]) => 1 - overlap(first, second)[0]); // of two different masks
  const terms = { v: [cross, within[0] / 2, within[1] / 2], u: [cross, ...within] };
  return {
    iou,
    dice: pairs((s, y) => overlap(s, y)[1]),
    hd95_mm: distances.map((row) => row.map((pair) => pair[0])),
    assd_mm: assd,
    terms_v: terms.v,
    terms_u: terms.u,
    ged_v: terms.v[0] - terms.v[1] - terms.v[2],
    ged_u: terms.u[0] - terms.u[1] - terms.u[2],
    mean_iou: mean(iou.flat()),
    hungarian_iou: Math.max(iou[0][0] + iou[1][1], iou[0][1] + iou[1][0]) / 2,
    mean_assd_mm: defined.length ? mean(defined) : NaN,
    undefined_pairs: assd.flat().length - defined.length,
  };
}

// ---- the pictures --------------------------------------------------------------------------------------------------

// The center of a disc and its name, each name in a corner of its own; a ring around the one that moves.
function drawCenter(pic, [x, y], { color, short, corner }, moves) {
  const { brush, zoom, canvas } = pic;
  const [across, down, unit] = [(x + 0.5) * zoom, (y + 0.5) * zoom, canvas.width / 300];
  brush.beginPath();
  brush.arc(across, down, 3.5 * unit, 0, 2 * Math.PI);
  brush.fillStyle = color;
  brush.strokeStyle = "#000000b0";
  brush.lineWidth = 1.4 * unit;
  brush.fill();
  brush.stroke();
  if (moves) {
    brush.beginPath();
    brush.arc(across, down, 7 * unit, 0, 2 * Math.PI);
    brush.strokeStyle = "#ffffff";
    brush.lineWidth = 2 * unit;
    brush.stroke();
  }
  brush.font = `600 ${13 * unit}px system-ui, sans-serif`;
  brush.textAlign = "center";
  brush.textBaseline = "middle";
  brush.strokeStyle = "#000000d0";
  brush.lineWidth = 3 * unit;
  const place = [across + 15 * unit * corner[0], down + 14 * unit * corner[1]];
  brush.strokeText(short, ...place);
  brush.fillStyle = "#ffffff";
  brush.fillText(short, ...place);
  brush.textAlign = "start";
  brush.textBaseline = "alphabetic";
}

function drawShapes(pic, discs, masks, { size, shapes, ground, bar }, moved) {
  blank(pic);
  pic.brush.fillStyle = ground;
  pic.brush.fillRect(0, 0, pic.canvas.width, pic.canvas.height);
  shapes.forEach((shape, i) => outline(pic, (at) => Boolean(masks[i][at]), shape));
  scaleBar(pic, bar);
  shapes.forEach((shape, i) => drawCenter(pic, discs[i], shape, shape.name === moved));
  const where = shapes.map(({ name }, i) => `${name} at x ${discs[i][0]}, y ${discs[i][1]}, radius ${discs[i][2]}`);
  pic.canvas.setAttribute("aria-label", `Four discs on ${size} by ${size} pixels: ${where.join("; ")}`);
}

// Both forms of GED²: from twice the cross term both terms within are taken away, and the last bar is what is left.
function drawTerms(pic, found, terms) {
  const { brush, canvas } = pic;
  const [w, ink] = [canvas.width, getComputedStyle(canvas).color];
  const place = (value) => (0.34 + 0.16 * (value + 1)) * w; // from -1 to 2
  blank(pic);
  brush.strokeStyle = ink;
  brush.lineWidth = w / 300;
  line(brush, place(0), 0.03 * w, place(0), 0.97 * w);
  ["v", "u"].forEach((form, half) => {
    const [whole, samples, raters] = found[`terms_${form}`];
    const ged = found[`ged_${form}`];
    const bars = [[0, whole], [whole - samples, whole], [ged, whole - samples], [0, ged]];
    const rows = [...terms, { words: `GED², ${form.toUpperCase()}`, color: ink }];
    rows.forEach(({ words, color }, row) => {
      const y = (0.05 + 0.5 * half + 0.107 * row) * w;
      const [low, high] = [Math.min(...bars[row]), Math.max(...bars[row])].map(place);
      brush.fillStyle = color;
      brush.fillRect(low, y, Math.max(high - low, w / 200), 0.075 * w);
      brush.fillStyle = ink;
      brush.font = `${row === 3 ? 600 : 400} ${w / 23}px system-ui, sans-serif`;
      brush.textAlign = "left";
      brush.fillText(words, 0.03 * w, y + 0.053 * w);
      brush.textAlign = "right";
      brush.fillText(inWords([whole, -samples, -raters, ged][row], 2), 0.975 * w, y + 0.053 * w);
    });
  });
  const said = ["v", "u"].map((form) => {
    const [whole, samples, raters] = found[`terms_${form}`].map((one) => one.toFixed(2));
    return `${form.toUpperCase()}: ${whole} minus ${samples} minus ${raters} is ${found[`ged_${form}`].toFixed(2)}`;
  });
  canvas.setAttribute("aria-label", `GED squared from its terms. ${said.join(". ")}`);
}

// ---- the explorer --------------------------------------------------------------------------------------------------

const inWords = (value, digits) => (Number.isNaN(value) ? "undefined" : value.toFixed(digits).replace("-", "−"));
const discIn = (value, { set, place }) => value[set][place];
const movedIn = (value, shapes) => discIn(value, shapes.find(({ name }) => name === value.moved));

// The disc under a pointer: of those it touches the one whose center is nearest, the chosen one where two are as near.
function discUnder(event, self, pic, shapes) {
  const box = pic.canvas.getBoundingClientRect();
  const at = [
    ((event.clientX - box.left) / box.width) * pic.width - 0.5,
    ((event.clientY - box.top) / box.height) * pic.height - 0.5,
  ];
  const touched = shapes.flatMap((shape) => {
    const [x, y, radius] = discIn(self.value, shape);
    const far = Math.hypot(x - at[0], y - at[1]);
    return far < Math.max(GRABBED, radius) ? [{ shape, far: shape.name === self.value.moved ? far - 1e-6 : far }] : [];
  });
  return { at, shape: touched.sort((one, other) => one.far - other.far)[0]?.shape };
}

function makeDraggable(self, pic, shapes) {
  const { canvas } = pic;
  let held = null; // the steps from the pointer to the center of the disc
  canvas.addEventListener("pointerdown", (event) => {
    const { at, shape } = discUnder(event, self, pic, shapes);
    if (!shape || event.button !== 0 || !event.isPrimary) return;
    held = at.map((px, axis) => discIn(self.value, shape)[axis] - px);
    canvas.setPointerCapture(event.pointerId);
    self.change((value) => (value.moved = shape.name));
  });
  canvas.addEventListener("pointermove", (event) => {
    const { at, shape } = discUnder(event, self, pic, shapes);
    canvas.style.cursor = held ? "grabbing" : shape ? "grab" : "";
    if (!held || !event.isPrimary) return;
    const to = at.map((px, axis) => Math.min(Math.max(Math.round(px + held[axis]), 0), pic.width - 1));
    const disc = movedIn(self.value, shapes);
    if (to.some((px, axis) => px !== disc[axis])) self.change((value) => movedIn(value, shapes).splice(0, 2, ...to));
  });
  for (const end of ["pointerup", "pointercancel"]) canvas.addEventListener(end, () => (held = null));
  // A finger on a disc moves the disc, and one beside all of them still moves the page.
  const keep = (event) => discUnder(event.changedTouches[0], self, pic, shapes).shape && event.preventDefault();
  canvas.addEventListener("touchstart", keep, { passive: false });
}

function addPresets(self, data) {
  const row = add(self.box, "div", { class: "lu-checks", role: "group", "aria-label": "positions to start from" });
  for (const { name, raters, samples } of data.presets) {
    const press = (value) => Object.assign(value, structuredClone({ raters, samples }));
    button(self, row, { name, label: name, press });
  }
}

function addMoving(self, { shapes, sliders, pixelMm }) {
  choice(self, self.box, {
    name: "moved", label: "disc", options: shapes.map(({ name, short }) => [name, `${name} (${short})`]),
    read: (v) => v.moved, write: (v, to) => (v.moved = to),
  });
  sliders.forEach(({ name, label, max }, axis) =>
    slider(self, self.box, {
      name, label, min: 0, max,
      read: (v) => movedIn(v, shapes)[axis], write: (v, to) => (movedIn(v, shapes)[axis] = to),
      words: (px) => (name === "radius" && px === 0 ? "0: empty" : `${px} px, ${(px * pixelMm).toFixed(1)} mm`),
    }),
  );
}

// Lines, where kit.js has squares: both samples have one color.
function addKey(pic, shapes) {
  for (const { name, short, color, dash } of shapes) {
    const entry = add(pic.words, "span", { class: "lu-line" });
    add(entry, "b", {}, short);
    add(entry, "span", {}, name);
    swatch(entry, color, dash);
  }
}

// One row a pair; gives the function that fills it.
function addTable(self, { measures, tableCaption }) {
  const table = add(self.box, "table", { class: "lu-table" });
  add(table, "caption", {}, tableCaption);
  const head = add(add(table, "thead"), "tr");
  for (const words of ["pair", ...measures.map((one) => one.words)]) add(head, "th", { scope: "col" }, words);
  const body = add(table, "tbody");
  const cells = [];
  for (const [s, r] of [[0, 0], [0, 1], [1, 0], [1, 1]]) {
    const row = add(body, "tr");
    add(row, "th", { scope: "row" }, `sample ${s + 1}, rater ${r + 1}`);
    for (const { name, digits } of measures) {
      // sixteen cells that change together would be read out one after the other
      const shown = add(add(row, "td"), "output", { "data-number": `${name}.${s}.${r}`, "aria-live": "off" });
      cells.push((found) => (shown.textContent = inWords(found[name][s][r], digits)));
    }
  }
  return (found) => cells.forEach((fill) => fill(found));
}

function mount(root, data, value, changed) {
  const self = frame(root, "metrics", data, value, changed);
  const { size, shapes } = data;
  addPresets(self, data);
  const pictures = add(self.box, "div", { class: "lu-pictures" });
  const pic = picture(pictures, { height: size, width: size, caption: "drag a disc: ", widest: 360 });
  addKey(pic, shapes);
  makeDraggable(self, pic, shapes);
  const bars = picture(pictures, { height: size, width: size, caption: data.barsCaption, widest: 360 });
  addMoving(self, data);
  const numbers = add(self.box, "div", { class: "lu-numbers" });
  const shown = data.numbers.map(({ name, label }) => [name, number(numbers, name, label)]);
  const fillTable = addTable(self, data);

  self.draw = () => {
    const discs = shapes.map((shape) => discIn(self.value, shape));
    const masks = discs.map((disc) => discOf(disc, size));
    const of = (set) => masks.filter((_, i) => shapes[i].set === set);
    const found = compare(of("samples"), of("raters"), size, data.pixelMm);
    drawShapes(pic, discs, masks, data, self.value.moved);
    drawTerms(bars, found, data.terms);
    for (const [name, output] of shown) output.textContent = inWords(found[name], 3);
    const missing = found.undefined_pairs;
    if (missing) shown.at(-1)[1].textContent += ` (${missing} of 4 pairs undefined)`;
    fillTable(found);
    return found;
  };
  self.redraw();
  return self;
}
