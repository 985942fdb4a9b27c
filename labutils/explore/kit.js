// What every explorer shares: its frame, its controls, its pictures. Plain functions without imports; the explorer's own
// file follows with `mount(root, data, value, changed)`, and labutils/explore/core.py joins the two into one module.

const HELD = "data-lm-suppress-shortcuts"; // on the focused element itself, or JupyterLab takes the arrow keys

// ---- carrying: the same `mount` under a widget manager, or called by the page itself -------------------------------

function carry(mount) {
  return {
    render({ model, el }) {
      const self = mount(el, model.get("data"), model.get("value"), (value) => {
        model.set("value", value);
        model.save_changes();
      });
      const follow = () => self.set(model.get("value"));
      model.on("change:value", follow);
      return () => {
        model.off("change:value", follow);
        self.stop();
      };
    },
  };
}

// ---- the frame: values in, a redraw for each change, and the present state for whoever looks -----------------------

function frame(root, name, data, value, changed) {
  const box = add(root, "div", { class: "lu-explorer", role: "group", "aria-label": data.title });
  box.dataset.explorer = name;
  const self = {
    box,
    value: structuredClone(value),
    followers: [], // each brings one control in line with the values
    draw: () => ({}), // redraws everything and gives the numbers shown; set when all parts stand
    set(given) {
      if (JSON.stringify(given) === JSON.stringify(self.value)) return; // our own change, come back from the model
      Object.assign(self.value, structuredClone(given));
      self.redraw();
    },
    redraw() {
      self.followers.forEach((follow) => follow());
      box.dataset.state = JSON.stringify({ ...self.value, ...self.draw() });
    },
    change(write) {
      write(self.value);
      self.redraw();
      changed(structuredClone(self.value));
    },
  };
  const look = new MutationObserver(() => self.redraw());
  for (const node of [document.documentElement, document.body]) // where themes say whether a page is light or dark
    look.observe(node, { attributeFilter: ["data-theme", "data-jp-theme-light"] });
  self.stop = () => look.disconnect();
  return self;
}

function add(parent, tag, attributes = {}, text = "") {
  const node = document.createElement(tag);
  for (const [name, given] of Object.entries(attributes)) node.setAttribute(name, given);
  node.textContent = text;
  parent.append(node);
  return node;
}

// ---- controls: native elements, each with a name in words ----------------------------------------------------------

// {name, label, min, max, step, read(value), write(value, number), words(number), usable(value)}; min and max may be
// functions
function slider(self, parent, given) {
  const { name, label, step = 1, read, write, words = String, usable = () => true } = given;
  const row = add(parent, "label", { class: "lu-row" });
  add(row, "span", { class: "lu-name" }, label);
  const input = add(row, "input", { type: "range", step, "data-control": name, [HELD]: "true" });
  const shown = add(row, "span", { class: "lu-value", "aria-hidden": "true" });
  input.addEventListener("input", () => self.change((value) => write(value, Number(input.value))));
  self.followers.push(() => {
    const [min, max] = [given.min, given.max].map((end) => (typeof end === "function" ? end(self.value) : end));
    Object.assign(input, { min, max, disabled: max <= min || !usable(self.value) });
    input.value = read(self.value);
    shown.textContent = words(read(self.value));
    input.setAttribute("aria-valuetext", shown.textContent);
  });
  return input;
}

// {name, label, read(value), write(value, yes), usable(value)}; gives the label, to which a swatch can be added
function checkbox(self, parent, { name, label, read, write, usable = () => true }) {
  const row = add(parent, "label", { class: "lu-check" });
  const input = add(row, "input", { type: "checkbox", "data-control": name, [HELD]: "true" });
  const words = add(row, "span", {}, label);
  input.addEventListener("change", () => self.change((value) => write(value, input.checked)));
  self.followers.push(() => {
    input.checked = read(self.value);
    input.disabled = !usable(self.value);
  });
  return { row, words };
}

// {name, label, options: [[value, words], ...], read(value), write(value, chosen)}; option values are text
function choice(self, parent, { name, label, options, read, write }) {
  const row = add(parent, "label", { class: "lu-row" });
  add(row, "span", { class: "lu-name" }, label);
  const input = add(row, "select", { "data-control": name, [HELD]: "true" });
  for (const [value, words] of options) add(input, "option", { value }, words);
  input.addEventListener("change", () => self.change((value) => write(value, input.value)));
  self.followers.push(() => (input.value = read(self.value)));
  return input;
}

// {name, label, press(value)}
function button(self, parent, { name, label, press }) {
  const input = add(parent, "button", { type: "button", "data-control": name, [HELD]: "true" }, label);
  input.addEventListener("click", () => self.change(press));
  return input;
}

// The slider that all explorers of cases begin with.
function caseSlider(self, { cases }) {
  slider(self, self.box, {
    name: "case", label: "case", min: 0, max: cases.length - 1,
    read: (v) => v.case, write: (v, to) => (v.case = to), words: (at) => cases[at].label,
  });
}

// A number in words; screen readers hear it when it changes.
function number(parent, name, label) {
  const row = add(parent, "span", { class: "lu-number" });
  add(row, "span", {}, `${label} `);
  return add(row, "output", { "data-number": name });
}

// ---- arrays, compressed without loss -------------------------------------------------------------------------------

// {shape, bytes: base64 of zlib, delta: whether each byte is the step from its left neighbor} -> {shape, values}
async function unpack({ shape, bytes, delta }) {
  const packed = Uint8Array.from(atob(bytes), (letter) => letter.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"));
  const values = new Uint8Array(await new Response(stream).arrayBuffer());
  if (delta) {
    const width = shape[shape.length - 1];
    for (let at = 0; at < values.length; at++) if (at % width) values[at] += values[at - 1];
  }
  return { shape, values };
}

// {shape, bytes, delta, bits: 16 or 32 of each number} -> {shape, values}, the numbers as doubles
async function unpackFloats(packed) {
  const { shape, values } = await unpack(packed);
  const found = packed.bits === 32 ? new Float32Array(values.buffer) : Array.from(new Uint16Array(values.buffer), half);
  return { shape, values: Float64Array.from(found) };
}

// What 16 bits stand for: sign, power of two, and the digits behind a leading one; no infinity is packed.
function half(bits) {
  const [sign, power, digits] = [bits >> 15 ? -1 : 1, (bits >> 10) & 31, bits & 1023];
  return sign * (power ? 2 ** (power - 25) * (1024 + digits) : 2 ** -24 * digits);
}

// Plane `index` of an array whose last two axes are H, W.
function plane({ shape, values }, index) {
  const size = shape[shape.length - 2] * shape[shape.length - 1];
  return values.subarray(index * size, (index + 1) * size);
}

// ---- masks: arrays of 0 and 1, row after row ------------------------------------------------------------------------

const sum = (values) => values.reduce((total, one) => total + one, 0);
const mean = (values) => sum(values) / values.length;

// [IoU, Dice]; two empty masks agree.
function overlap(a, b) {
  let [both, total] = [0, 0];
  for (let i = 0; i < a.length; i++) {
    both += a[i] & b[i];
    total += a[i] + b[i];
  }
  return total ? [both / (total - both), (2 * both) / total] : [1, 1];
}

// What is said of each rater of a case: the name, and whether there is nothing of theirs to see (bit r: rater r).
function raterWords(raters, present, bits) {
  return raters.map(({ name }, r) => {
    const drew = bits.some((one) => (one >> r) & 1);
    return name + (!present[r] ? ": absent" : drew ? "" : ": saw nothing");
  });
}

const diceWords = (dice) => dice.map((one) => (one === null ? "absent" : one.toFixed(2))).join(", ");
const extent = (mask) => (mask.includes(1) ? `outline around ${sum(mask)} pixels` : "nothing marked");

// ---- pictures: one array pixel is `zoom` device pixels ----------------------------------------------------------------

// A canvas of height x width array pixels; `widest` is its largest width on the page in CSS pixels.
function picture(parent, { height, width, caption, widest = 250 }) {
  const zoom = Math.max(1, Math.ceil((2 * widest) / width));
  const box = add(parent, "div", { class: "lu-picture", style: `max-width:${widest}px` });
  const canvas = add(box, "canvas", { role: "img", width: width * zoom, height: height * zoom });
  const words = add(box, "div", { class: "lu-caption" }, caption);
  return { canvas, words, zoom, height, width, brush: canvas.getContext("2d") };
}

// A pixel is `tall` times as high as it is wide.
function stretch(pictures, tall) {
  for (const { canvas, width, height } of pictures) canvas.style.aspectRatio = width / (height * tall);
}

function blank(pic) {
  pic.brush.setTransform(1, 0, 0, 1, 0, 0);
  pic.brush.clearRect(0, 0, pic.canvas.width, pic.canvas.height);
}

// Fill the picture with pixels: `color(i)` gives [red, green, blue, alpha] of pixel i, or null for nothing.
function paint(pic, color) {
  const small = new OffscreenCanvas(pic.width, pic.height);
  const brush = small.getContext("2d");
  const image = brush.createImageData(pic.width, pic.height);
  for (let i = 0; i < pic.width * pic.height; i++) {
    const found = color(i);
    if (found) image.data.set(found, 4 * i);
  }
  brush.putImageData(image, 0, 0);
  pic.brush.imageSmoothingEnabled = false;
  pic.brush.drawImage(small, 0, 0, pic.canvas.width, pic.canvas.height);
}

function paintGray(pic, values) {
  paint(pic, (i) => [values[i], values[i], values[i], 255]);
}

// Values from 0 to `top` in the colors of a map, 256 of them; `opacity(i)` of pixel i is 0 to 1.
function paintMap(pic, values, top, { values: colors }, opacity = () => 1) {
  paint(pic, (i) => {
    const at = 3 * Math.round((255 * values[i]) / top);
    return [colors[at], colors[at + 1], colors[at + 2], 255 * opacity(i)];
  });
}

// The boundary of a mask along pixel edges, with a rim of the other brightness, as the book's figures have it.
function outline(pic, inside, { color, dash = [], width = 1.5, rim = "#000000b0" }) {
  const { zoom, brush } = pic;
  const path = new Path2D();
  const at = (row, column) =>
    row >= 0 && column >= 0 && row < pic.height && column < pic.width && inside(row * pic.width + column);
  const ends = new Map(); // from a corner of the grid to the next ones, the inside on the right
  const across = pic.width + 1;
  const edge = (from, to) => ends.set(from, [...(ends.get(from) ?? []), to]);
  for (let row = 0; row < pic.height; row++)
    for (let column = 0; column < pic.width; column++) {
      if (!at(row, column)) continue;
      const corner = row * across + column;
      if (!at(row - 1, column)) edge(corner, corner + 1);
      if (!at(row, column + 1)) edge(corner + 1, corner + across + 1);
      if (!at(row + 1, column)) edge(corner + across + 1, corner + across);
      if (!at(row, column - 1)) edge(corner + across, corner);
    }
  const point = (corner) => [(corner % across) * zoom, Math.floor(corner / across) * zoom];
  for (const first of ends.keys())
    while (ends.get(first).length) {
      path.moveTo(...point(first)); // closed lines: dashes run on around corners
      for (let here = first; ends.get(here).length; path.lineTo(...point(here))) here = ends.get(here).pop();
      path.closePath();
    }
  const unit = pic.canvas.width / 250; // a CSS pixel of a picture at its usual size
  for (const [style, wide, pattern] of [[rim, width + 1.4, []], [color, width, dash]]) {
    brush.strokeStyle = style;
    brush.lineWidth = wide * unit;
    brush.setLineDash(pattern.map((part) => part * unit));
    brush.lineCap = pattern.length ? "butt" : "square";
    brush.stroke(path);
  }
  brush.setLineDash([]);
}

// What several raters drew, [{color, dash}, ...]; later ones thinner, so lines that lie on one another all stay visible.
// `inside(place)` gives the mask of the rater at that place, as `outline` asks for it.
function outlines(pic, raters, inside) {
  raters.forEach((style, place) => {
    const width = 1.5 * (1 + (0.5 * (raters.length - 1 - place)) / Math.max(raters.length - 1, 1));
    outline(pic, inside(place), { ...style, width });
  });
}

// What the raters in `shown` drew, from bytes in which bit r is rater r.
function outlineRaters(pic, bits, raters, shown) {
  outlines(pic, shown.map((r) => raters[r]), (place) => (i) => Boolean((bits[i] >> shown[place]) & 1));
}

// A bar of a round length in the lower left; {length, unit, pixels}
function scaleBar(pic, { length, unit, pixels }) {
  const { brush, zoom, canvas } = pic;
  const [x, y, size] = [0.04 * canvas.width, 0.95 * canvas.height, canvas.width / 24];
  brush.font = `${size}px system-ui, sans-serif`;
  for (const [color, wide] of [["#000000b0", size / 2.2], ["#ffffff", size / 6]]) {
    brush.strokeStyle = brush.fillStyle = color;
    brush.lineWidth = wide;
    line(brush, x, y, x + pixels * zoom, y);
    brush.lineWidth = size / 4;
    if (color !== "#ffffff") brush.strokeText(`${length} ${unit}`, x, y - size / 2);
    else brush.fillText(`${length} ${unit}`, x, y - size / 2);
  }
}

function line(brush, x0, y0, x1, y1) {
  brush.beginPath();
  brush.moveTo(x0, y0);
  brush.lineTo(x1, y1);
  brush.stroke();
}

// What the colors of a picture mean, after its caption; [[color, words, shape], ...], the shape one of kit.css or none.
function key(pic, caption, entries) {
  pic.words.textContent = caption;
  for (const [color, words, shape = "square"] of entries) {
    pic.words.append(" ");
    const entry = add(pic.words, "span", { class: "lu-entry" }); // a swatch and its words stay on one line
    add(entry, "span", { class: `lu-key lu-key-${shape}`, "aria-hidden": "true" }).style.background = color;
    entry.append(words);
  }
}

// The colors of a map from 0 to `top`, as one long swatch.
function mapKey(pic, caption, { values: colors }, top) {
  const stops = [0, 1, 2, 3, 4, 5].map((part) => `rgb(${colors.slice(153 * part, 153 * part + 3)})`);
  key(pic, caption, [[`linear-gradient(to right, ${stops})`, `0 to ${top}`, "wide"]]);
}

// A small line of color beside the words of a control.
function swatch(row, color, dash) {
  const mark = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  for (const [name, given] of Object.entries({ width: 26, height: 10, "aria-hidden": "true", class: "lu-swatch" }))
    mark.setAttribute(name, given);
  const line = document.createElementNS("http://www.w3.org/2000/svg", "line");
  const drawn = { x1: 1, x2: 25, y1: 5, y2: 5, stroke: color, "stroke-width": 4, "stroke-dasharray": dash.join(" ") };
  for (const [name, given] of Object.entries(drawn)) line.setAttribute(name, given);
  mark.append(line);
  row.insertBefore(mark, row.children[1]);
}
