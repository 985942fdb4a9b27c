// A sampler's answers to look through: a grid of samples, one enlarged beside the raters, their mean, their spread, and
// how far they are from the raters. Moving a latent level shows the samples that were drawn there.

const FOREGROUND = 128; // of 255: the least that is above one half

const cut = (probs) => probs.map((one) => (one >= FOREGROUND ? 1 : 0));

// Mean of 1 - IoU over all pairs, a mask with itself included.
function meanDistance(some, others) {
  return mean(some.map((a) => mean(others.map((b) => 1 - overlap(a, b)[0]))));
}

// Mean and standard deviation of each pixel over the samples, from exact sums of 255ths.
function moments(samples) {
  const [average, spread] = [new Float64Array(samples[0].length), new Float64Array(samples[0].length)];
  for (let i = 0; i < average.length; i++) {
    let [total, squares] = [0, 0];
    for (const one of samples) {
      total += one[i];
      squares += one[i] * one[i];
    }
    average[i] = total / (255 * samples.length);
    spread[i] = Math.sqrt(samples.length * squares - total * total) / (255 * samples.length);
  }
  return { average, spread };
}

// A line inside the edge of a picture: this one is chosen.
function frameIn({ brush, canvas }) {
  const wide = canvas.width / 24;
  brush.strokeStyle = "#0072b2"; // as the pressed button below it
  brush.lineWidth = wide;
  brush.strokeRect(wide / 2, wide / 2, canvas.width - wide, canvas.height - wide);
}

function mount(root, data, value, changed) {
  const self = frame(root, "samples", data, value, changed);
  const size = { height: data.height, width: data.width };
  const chosen = () => data.samplers[self.value.sampler];
  addControls(self, data);
  const cells = addGrid(self, data, size, chosen);
  slider(self, self.box, {
    name: "sample", label: "enlarged", min: 0, max: () => chosen().samples.length - 1,
    read: (v) => v.sample, write: (v, to) => (v.sample = to), words: (s) => chosen().samples[s],
  });
  checkbox(self, self.box, {
    name: "raters", label: "raters' outlines", read: (v) => v.raters, write: (v, yes) => (v.raters = yes),
  });
  const pictures = add(self.box, "div", { class: "lu-pictures" });
  const large = picture(pictures, { ...size, caption: "" });
  const pair = add(pictures, "div", { class: "lu-pair" }); // side by side on a narrow page too
  const [middle, spread] = ["mean", "spread"].map((caption) => picture(pair, { ...size, caption }));
  const row = add(self.box, "div", { class: "lu-numbers" });
  const said = Object.fromEntries([
    ["ged2_v", "GED² of the samples and the raters:"], ["diversity", "diversity of the samples:"],
    ["rater_diversity", "diversity of the raters:"], ["mean_dice", "Dice of the enlarged sample, mean over raters:"],
    ["dice", "Dice with each rater:"], ["area_px", "expected area, px:"],
  ].map(([name, label]) => [name, number(row, name, label)]));

  const packed = [data.images, data.masks, ...data.palettes, ...data.samplers.map(({ probs }) => probs)];
  Promise.all(packed.map(unpack)).then(([images, masks, viridis, magma, ...probs]) => {
    self.draw = () => {
      const [image, bits] = [images, masks].map((stack) => plane(stack, self.value.case));
      return draw(image, bits, samplesOf(probs[self.value.sampler]), [viridis, magma]);
    };
    self.redraw();
  });

  function samplesOf(probs) {
    const positions = self.value.positions[self.value.sampler];
    const first = positions.reduce((at, position, level) => at * probs.shape[level + 1] + position, self.value.case);
    return chosen().samples.map((_, s) => plane(probs, first * chosen().samples.length + s));
  }

  function draw(image, bits, samples, colors) {
    const { tall, present, bar } = data.cases[self.value.case];
    stretch([large, middle, spread, ...cells.map(({ pic }) => pic)], tall);
    const drawn = samples.map(cut);
    const here = data.raters.map((_, r) => r).filter((r) => present[r]);
    const raters = here.map((r) => bits.map((one) => (one >> r) & 1));
    const maps = moments(samples);
    drawGrid(image, drawn);
    drawLarge(image, bits, drawn[self.value.sample], here, bar);
    drawMaps(maps, colors, samples.length);
    const numbers = compare(drawn, raters, here);
    return say({ ...numbers, area_px: sum(maps.average), most_spread: Math.max(...maps.spread) });
  }

  function compare(drawn, raters, here) {
    const [diversity, theirs] = [drawn, raters].map((masks) => meanDistance(masks, masks));
    const one = raters.map((mask) => overlap(drawn[self.value.sample], mask)[1]);
    return {
      ged2_v: 2 * meanDistance(drawn, raters) - diversity - theirs, diversity, rater_diversity: theirs,
      dice: data.raters.map((_, r) => (here.includes(r) ? one[here.indexOf(r)] : null)),
      mean_dice: mean(one),
    };
  }

  function drawGrid(image, drawn) {
    cells.forEach(({ pic, figure }, s) => {
      figure.hidden = s >= drawn.length;
      if (figure.hidden) return;
      paintGray(pic, image);
      outline(pic, (i) => drawn[s][i] === 1, { color: data.color, width: 3.5 });
      if (s === self.value.sample) frameIn(pic);
      pic.canvas.setAttribute("aria-label", `${chosen().samples[s]}: ${extent(drawn[s])}`);
    });
  }

  function drawLarge(image, bits, mask, here, bar) {
    const shown = self.value.raters ? here : [];
    paintGray(large, image);
    outlineRaters(large, bits, data.raters, shown);
    outline(large, (i) => mask[i] === 1, { color: data.color, width: 2 });
    scaleBar(large, bar);
    const name = chosen().samples[self.value.sample];
    const words = raterWords(data.raters, data.cases[self.value.case].present, bits);
    const own = [data.color, mask.includes(1) ? name : `${name}: nothing marked`];
    key(large, "", [own, ...shown.map((r) => [data.raters[r].color, words[r]])]);
    const label = `${data.cases[self.value.case].label}: ${name}, ${extent(mask)}; outlines of ${shown.length} raters`;
    large.canvas.setAttribute("aria-label", label);
  }

  function drawMaps(maps, [viridis, magma], count) {
    paintMap(middle, maps.average, 1, viridis);
    paintMap(spread, maps.spread, data.top_spread, magma);
    mapKey(middle, `mean of ${count}`, viridis, 1);
    const most = Math.max(...maps.spread).toFixed(2);
    mapKey(spread, `standard deviation, ${most} at most`, magma, data.top_spread);
    const half = maps.average.filter((one) => one > 0.5).length;
    middle.canvas.setAttribute("aria-label", `mean of ${count} samples: ${half} pixels above one half`);
    const doubt = `they differ in ${maps.spread.filter((one) => one > 0).length} pixels, by ${most} at most`;
    spread.canvas.setAttribute("aria-label", `spread of ${count} samples: ${doubt}`);
  }

  function say(numbers) {
    for (const name of ["ged2_v", "diversity", "rater_diversity", "mean_dice"])
      said[name].textContent = numbers[name].toFixed(3);
    said.area_px.textContent = numbers.area_px.toFixed(1);
    said.dice.textContent = diceWords(numbers.dice);
    return numbers;
  }
  return self;
}

function addControls(self, data) {
  caseSlider(self, data);
  choice(self, self.box, {
    name: "sampler", label: "sampler", options: data.samplers.map(({ name }, at) => [String(at), name]),
    read: (v) => String(v.sampler),
    write: (v, to) => {
      v.sampler = Number(to);
      v.sample = Math.min(v.sample, data.samplers[v.sampler].samples.length - 1);
    },
  });
  data.samplers.forEach(({ levels }, at) =>
    levels.forEach(({ name, labels }, level) => {
      const input = slider(self, self.box, {
        name: `position.${at}.${level}`, label: name, min: 0, max: labels.length - 1,
        read: (v) => v.positions[at][level], write: (v, to) => (v.positions[at][level] = to), words: (to) => labels[to],
      });
      self.followers.push(() => (input.parentElement.hidden = self.value.sampler !== at));
    }),
  );
}

// A small picture of each sample, over a button that enlarges it; a picture does what its button does.
function addGrid(self, data, size, chosen) {
  const grid = add(self.box, "div", { class: "lu-grid" });
  const most = Math.max(...data.samplers.map(({ samples }) => samples.length));
  return Array.from({ length: most }, (_, s) => {
    const pic = picture(grid, { ...size, caption: "", widest: 120 });
    const press = button(self, pic.words, { name: `sample.${s}`, label: "", press: (v) => (v.sample = s) });
    pic.canvas.addEventListener("click", () => press.click());
    self.followers.push(() => {
      press.textContent = chosen().samples[s] ?? "";
      press.setAttribute("aria-pressed", self.value.sample === s);
    });
    return { pic, figure: pic.canvas.parentElement };
  });
}
