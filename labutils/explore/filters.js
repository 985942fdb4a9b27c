// Pick a slice of a nodule, switch and move the filters: does the slice stay, and how many of all slices do?

const STEP = 5; // pixels between two places of the limits of the area
const STAYS = "stays";

// The name of the first filter that refuses each slice, or STAYS; filters are asked in the order of `filters`.
function verdicts({ slices, filters, readers }, v) {
  const passes = {
    merged: (i) => !v.merged || slices.raters[i] <= readers,
    readers: (i) => slices.raters[i] >= v.raters,
    box: (i) => !v.box || slices.fits[i],
    border: (i) => !v.border || slices.inside[i],
    area: (i) => !v.area || (v.low < slices.area[i] && slices.area[i] < v.high),
  };
  return slices.area.map((_, i) => filters.map(([name]) => name).find((name) => !passes[name](i)) ?? STAYS);
}

// Rows of what is left after each filter, with what it took beside it; gives a function that shows new counts.
function waterfall(parent, labels, colors) {
  const box = add(parent, "div", { class: "lu-bars", role: "img" });
  const rows = labels.map((label) => {
    add(box, "span", {}, label);
    const track = add(box, "span", { class: "lu-track" });
    const parts = [colors.stays, colors.removed].map((color) => add(track, "span", { style: `background:${color}` }));
    return { parts, text: add(box, "span") };
  });
  return (total, removed) => {
    let left = total;
    rows.forEach(({ parts, text }, place) => {
      const goes = place ? removed[place - 1] : 0;
      left -= goes;
      [left, goes].forEach((count, part) => (parts[part].style.width = `${(100 * count) / total}%`));
      text.textContent = `${left}${goes ? ` (−${goes})` : ""}`;
    });
    const said = labels.slice(1).map((label, place) => `${label} removes ${removed[place]}`);
    box.setAttribute("aria-label", `Of ${total} slices ${said.join(", ")}; ${left} stay`);
  };
}

function mount(root, data, value, changed) {
  const self = frame(root, "filters", data, value, changed);
  const total = data.slices.nodule.length;
  const places = data.nodules.map((_, n) => [...data.slices.nodule.keys()].filter((i) => data.slices.nodule[i] === n));
  const labels = Object.fromEntries(data.filters);
  const planes = Math.ceil(data.raters.length / 8); // one bit a rater

  const words = (n) => `${data.nodules[n].label}: ${plural(data.slices.raters[places[n][0]], "outline")}`;
  choice(self, self.box, {
    name: "nodule", label: "nodule", options: data.nodules.map((_, n) => [String(n), words(n)]),
    read: (v) => String(v.nodule),
    write: (v, to) => Object.assign(v, { nodule: Number(to), slice: places[to].length >> 1 }),
  });
  slider(self, self.box, {
    name: "slice", label: "slice", min: 0, max: (v) => places[v.nodule].length - 1,
    read: (v) => v.slice, write: (v, to) => (v.slice = to),
    words: (at) => `${at + 1} of ${places[self.value.nodule].length}`,
  });
  const pictures = add(self.box, "div", { class: "lu-pictures" });
  const left = picture(pictures, { height: data.height, width: data.width, caption: "" });
  const right = add(pictures, "div", { class: "lu-picture", style: "flex-basis:240px" }); // below on a phone
  const [verdict, stay] = [["verdict", "this slice:"], ["stay", "slices that stay:"]].map(([name, label]) =>
    number(add(right, "div", { class: "lu-numbers" }), name, label));
  const fall = waterfall(right, ["candidates", ...Object.values(labels)], data.colors);
  const strip = everySlice(right);
  controls();

  Promise.all([unpack(data.images), unpack(data.masks)]).then(([images, masks]) => {
    self.draw = () => draw(images, masks);
    self.redraw();
  });

  function controls() {
    const checks = add(self.box, "div", { class: "lu-checks" });
    const switches = { merged: "no merged nodules", box: "no nodules larger than the crop",
      border: "no crops over the border", area: "limits for the area" };
    for (const [name, label] of Object.entries(switches))
      checkbox(self, checks, { name, label, read: (v) => v[name], write: (v, yes) => (v[name] = yes) });
    slider(self, self.box, {
      name: "raters", label: "outlined by", min: 1, max: data.readers, read: (v) => v.raters,
      write: (v, to) => (v.raters = to), words: (n) => `${plural(n, "rater")} or more`,
    });
    // the two limits never meet: one that is moved stops before the other
    const limit = { min: 0, max: data.most, step: STEP, usable: (v) => v.area };
    slider(self, self.box, {
      ...limit, name: "low", label: "area above", words: (px) => `${px} pixels`,
      read: (v) => v.low, write: (v, to) => (v.low = Math.max(0, Math.min(to, v.high - STEP))),
    });
    slider(self, self.box, {
      ...limit, name: "high", label: "area below", words: (px) => `${px} pixels`,
      read: (v) => v.high, write: (v, to) => (v.high = Math.max(to, v.low + STEP)),
    });
  }

  // One column a slice, nodule by nodule with a gap between; a pointer on it chooses the slice.
  function everySlice(parent) {
    const width = total + data.nodules.length - 1;
    const pic = picture(parent, { height: 7, width, caption: "", widest: 420 });
    const column = (i) => i + data.slices.nodule[i];
    const choose = (event) => {
      const at = (event.offsetX / pic.canvas.clientWidth) * width - 0.5;
      const away = (i) => Math.abs(column(i) - at);
      const place = data.slices.nodule.reduce((best, _, i) => (away(i) < away(best) ? i : best), 0);
      const nodule = data.slices.nodule[place];
      self.change((v) => Object.assign(v, { nodule, slice: place - places[nodule][0] }));
    };
    pic.canvas.addEventListener("pointerdown", (event) => {
      pic.canvas.setPointerCapture(event.pointerId);
      choose(event);
    });
    pic.canvas.addEventListener("pointermove", (event) => event.buttons && choose(event));
    key(pic, "every slice:", Object.entries(data.colors).map(([word, color]) => [color, word]));
    return { ...pic, column };
  }

  function draw(images, masks) {
    const v = self.value;
    const place = places[v.nodule][v.slice];
    const found = verdicts(data, v);
    const removed = data.filters.map(([name]) => found.filter((one) => one === name).length);
    drawSlice(plane(images, place), (r) => plane(masks, place * planes + (r >> 3)), place);
    drawStrip(found, place);
    fall(total, removed);
    const left = found.filter((one) => one === STAYS).length;
    verdict.textContent = found[place] === STAYS ? STAYS : `removed: ${labels[found[place]]}`;
    stay.textContent = `${left} of ${total}`;
    const counts = Object.fromEntries(data.filters.map(([name], f) => [name, removed[f]]));
    return { verdict: found[place], stay: left, removed: counts, verdicts: found };
  }

  function drawSlice(image, bitsOf, place) {
    const raters = data.raters.slice(0, data.slices.raters[place]);
    const inside = (r) => {
      const bits = bitsOf(r);
      return (i) => Boolean((bits[i] >> (r & 7)) & 1);
    };
    paintGray(left, image);
    outlines(left, raters, inside);
    const nodule = data.nodules[self.value.nodule];
    scaleBar(left, nodule.bar);
    const drew = raters.filter((_, r) => [...image.keys()].some(inside(r)));
    const area = `consensus ${data.slices.area[place]} px`;
    key(left, `${area}; outlines:`, drew.map(({ name, color }) => [color, name.split(" ").pop()]));
    const at = `${nodule.label}, slice ${self.value.slice + 1}`;
    left.canvas.setAttribute("aria-label", `${at}: ${drew.length} of the nodule's ${plural(raters.length, "outline")}; ${area}`);
  }

  function drawStrip(found, place) {
    const { brush, zoom, canvas, column } = strip;
    blank(strip);
    found.forEach((one, i) => {
      const tall = one === STAYS ? 4 : 2; // told apart without color as well
      brush.fillStyle = one === STAYS ? data.colors.stays : data.colors.removed;
      brush.fillRect((column(i) + 0.1) * zoom, (7 - tall) * zoom, 0.8 * zoom, tall * zoom);
    });
    brush.fillStyle = getComputedStyle(self.box).color;
    brush.fillRect((column(place) + 0.1) * zoom, 0, 0.8 * zoom, 2 * zoom);
    const left = found.filter((one) => one === STAYS).length;
    canvas.setAttribute("aria-label", `Every slice: ${left} of ${total} stay; shown is number ${place + 1}`);
  }
  return self;
}

function plural(count, word) {
  return `${count} ${word}${count === 1 ? "" : "s"}`;
}
