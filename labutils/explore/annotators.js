// Draw a rater: a latent vector, the confusion matrix that a decoder makes of it at every pixel, and what a rater with
// these matrices would mark. The decoder is that of labutils.explore.annotators, whose numbers are packed.

const MARK = "#d55e00"; // the latent numbers that are shown

// ---- the decoder: plain arithmetic in doubles ----------------------------------------------------------------------

// Weight (outputs, inputs), row after row, times the input, plus the bias; loops, as it is done for every pixel.
function linear(weight, bias, input) {
  const found = new Float64Array(bias.length);
  for (let row = 0, at = 0; row < found.length; row++) {
    let total = bias[row];
    for (let from = 0; from < input.length; from++) total += weight[at++] * input[from];
    found[row] = total;
  }
  return found;
}

// What is above 0, in place.
function rectified(values) {
  for (let at = 0; at < values.length; at++) values[at] = Math.max(values[at], 0);
  return values;
}

function softmax(logits) {
  const top = Math.max(...logits);
  const parts = logits.map((one) => Math.exp(one - top));
  const whole = sum(parts);
  return parts.map((one) => one / whole);
}

// What the rater of z makes of an image: for each class k and pixel the chance that k is there, the chance to say
// another class where it is, and the chance to say k. `logits` and `seen` are those of the image.
function decode({ logits, seen, who, layers }, z, classes) {
  const pixels = logits.length / classes;
  const [truth, errors, says] = [0, 0, 0].map(() => Array.from({ length: classes }, () => new Float64Array(pixels)));
  const added = linear(who, new Float64Array(who.length / z.length), z);
  for (let i = 0; i < pixels; i++) {
    const there = softmax(Float64Array.from({ length: classes }, (_, k) => logits[k * pixels + i]));
    let hidden = new Float64Array(added);
    for (let feature = 0; feature < hidden.length; feature++) hidden[feature] += seen[feature * pixels + i];
    for (const [weight, bias] of layers) hidden = linear(weight, bias, rectified(hidden));
    there.forEach((chance, j) => {
      const column = softmax(there.map((_, said) => hidden[said * classes + j]));
      truth[j][i] = chance;
      errors[j][i] = 1 - column[j];
      column.forEach((one, said) => (says[said][i] += one * chance));
    });
  }
  return { truth, errors, says };
}

// The likeliest class of each pixel; of two as likely the first, as numpy has it.
function likeliest(chances) {
  return chances[0].map((_, i) => chances.reduce((best, one, k) => (one[i] > chances[best][i] ? k : best), 0));
}

const marks = (labels) => Uint8Array.from(labels, (one) => (one === 0 ? 0 : 1));

// Mean of the errors over where their class is: pixels weighted by its chances.
const meanError = (errors, truth) => sum(errors.map((one, i) => one * truth[i])) / sum(truth);

// ---- where a rater stands among the draws --------------------------------------------------------------------------

// One line for each latent number: a tick for each draw of this image, a bar for the rater who is shown.
function drawPlaces(pic, draws, z, latents) {
  const { brush, canvas } = pic;
  const [w, h] = [canvas.width, canvas.height];
  const [left, right, step] = [0.12 * w, 0.92 * w, h / latents.length];
  const tall = Math.min(step, w / 4);
  blank(pic);
  brush.fillStyle = getComputedStyle(canvas).color;
  brush.font = `${w / 18}px system-ui, sans-serif`;
  latents.forEach(({ name, low, high }, place) => {
    const y = (place + 0.5) * step;
    const x = (value) => left + ((right - left) * (value - low)) / (high - low);
    brush.textAlign = "left";
    brush.fillText(name, 0, y);
    brush.strokeStyle = brush.fillStyle;
    brush.lineWidth = w / 400;
    line(brush, left, y, right, y);
    brush.globalAlpha = 0.6;
    for (const one of draws) line(brush, x(one[place]), y - 0.2 * tall, x(one[place]), y);
    brush.globalAlpha = 1;
    brush.textAlign = "center";
    for (const end of [low, high]) brush.fillText(String(end).replace("-", "−"), x(end), y + 0.28 * tall);
    brush.strokeStyle = MARK;
    brush.lineWidth = w / 60;
    line(brush, x(z[place]), y - 0.3 * tall, x(z[place]), y + 0.08 * tall);
  });
  const said = latents.map(({ name, digits }, place) => {
    const below = draws.filter((one) => one[place] < z[place]).length;
    return `${name} is ${z[place].toFixed(digits)}, above ${below}`;
  });
  canvas.setAttribute("aria-label", `Latent numbers among ${draws.length} draws for this image: ${said.join("; ")}`);
}

// ---- the explorer --------------------------------------------------------------------------------------------------

function mount(root, data, value, changed) {
  const self = frame(root, "annotators", data, value, changed);
  const size = { height: data.height, width: data.width };
  const said = addControls(self, data);
  const [upper, lower] = [0, 0].map(() => add(self.box, "div", { class: "lu-pictures" }));
  const pair = (parent) => add(parent, "div", { class: "lu-pair" }); // side by side on a narrow page too
  const large = picture(upper, { ...size, caption: "" });
  const answers = pair(upper);
  const [truthMap, saysMap] = [0, 0].map(() => picture(answers, { ...size, caption: "" }));
  const low = Math.round(Math.min(1, 0.2 * data.latents.length) * data.width); // of a line for each latent number
  const places = picture(lower, { height: low, width: data.width, caption: "" });
  key(places, "latent numbers:", [["currentColor", `${data.draws[0].length} draws for this image`, "line"], [MARK, "shown", "line"]]);
  const wrongs = data.errors.length === 2 ? pair(lower) : lower;
  const errorMaps = data.errors.map((error) => ({ ...error, pic: picture(wrongs, { ...size, caption: "" }) }));
  const row = add(self.box, "div", { class: "lu-numbers" });
  for (const [name, label] of [["truth_dice", "Dice with the clean truth:"], ["dice", "Dice with each rater:"],
    ["area_px", "marked, px:"], ["truth_px", "clean truth, px:"]]) said[name] = number(row, name, label);

  const layers = data.layers.map((layer) => Promise.all(layer.map(unpackFloats)));
  const floats = [data.logits, data.seen, data.who].map(unpackFloats);
  const bytes = [data.images, data.masks, data.palette].map(unpack);
  Promise.all([...bytes, ...floats, ...layers]).then(([images, masks, palette, logits, seen, who, ...nets]) => {
    const network = { who: who.values, layers: nets.map((net) => net.map(({ values }) => values)) };
    const of = ({ shape, values }) => {
      const one = values.length / shape[0];
      return values.subarray(one * self.value.case, one * (self.value.case + 1));
    };
    self.draw = () => draw(of(images), of(masks), { ...network, logits: of(logits), seen: of(seen) }, palette);
    self.redraw();
  });

  function draw(image, bits, network, palette) {
    const at = data.cases[self.value.case];
    const found = decode(network, self.value.z, data.errors.length);
    const labels = likeliest(found.truth);
    const [there, marked] = [labels, likeliest(found.says)].map(marks);
    stretch([large, truthMap, saysMap, ...errorMaps.map(({ pic }) => pic)], at.tall);
    drawLabel(image, bits, there, marked, at);
    drawAnswers(found, there, marked, palette);
    drawErrors(found, labels, palette);
    drawPlaces(places, data.draws[self.value.case], self.value.z, data.latents);
    return say({
      truth_dice: overlap(marked, there)[1],
      dice: at.present.map((here, r) => (here ? overlap(marked, bits.map((one) => (one >> r) & 1))[1] : null)),
      area_px: sum(marked),
      truth_px: sum(there),
      mean_errors: found.errors.map((one, k) => meanError(one, found.truth[k])),
    });
  }

  function drawLabel(image, bits, there, marked, { label, present, bar }) {
    const shown = data.raters.map((_, r) => r).filter((r) => present[r] && self.value.raters);
    paintGray(large, image);
    outlineRaters(large, bits, data.raters, shown);
    lineOf(large, there, data.truth_color);
    lineOf(large, marked, data.color);
    scaleBar(large, bar);
    const words = raterWords(data.raters, present, bits);
    const own = [[data.color, "drawn rater's label"], [data.truth_color, "clean truth", "rimmed"]];
    key(large, "", [...own, ...shown.map((r) => [data.raters[r].color, words[r]])]);
    const what = `drawn rater, ${extent(marked)}; clean truth, ${extent(there)}; outlines of ${shown.length} raters`;
    large.canvas.setAttribute("aria-label", `${label}: ${what}`);
  }

  function drawAnswers({ truth, says }, there, marked, palette) {
    for (const [pic, name, chances, mask, color] of [
      [truthMap, "clean truth: chance that something is there", truth, there, data.truth_color],
      [saysMap, "drawn rater: chance to mark", says, marked, data.color],
    ]) {
      paintMap(pic, chances[0].map((one) => 1 - one), 1, palette);
      lineOf(pic, mask, color);
      mapKey(pic, name, palette, 1);
      pic.canvas.setAttribute("aria-label", `${name}; ${extent(mask)}`);
    }
  }

  // A matrix's column says something only where its class is; elsewhere no label has taught it, and it is faint.
  function drawErrors({ truth, errors }, labels, palette) {
    for (const { of, name, pic } of errorMaps) {
      const average = meanError(errors[of], truth[of]).toFixed(2);
      const where = of ? "inside" : "outside";
      pic.brush.fillStyle = data.ground;
      pic.brush.fillRect(0, 0, pic.canvas.width, pic.canvas.height);
      paintMap(pic, errors[of], 1, palette, (i) => data.faintest + (1 - data.faintest) * truth[of][i]);
      lineOf(pic, labels.map((one) => (of ? one === of : one !== 0)), data.truth_color);
      mapKey(pic, `${name}, ${average} on average ${where} the line; faint where the truth is another`, palette, 1);
      pic.canvas.setAttribute("aria-label", `${name}: ${average} on average ${where} the clean truth`);
    }
  }

  function lineOf(pic, mask, color) {
    const rim = color === data.truth_color ? "#ffffffe0" : undefined; // dark lines have a light rim
    outline(pic, (i) => Boolean(mask[i]), { color, width: 2, rim });
  }

  function say(numbers) {
    const [draws, { z, draw }] = [data.draws[self.value.case], self.value];
    const which = draws[draw].every((one, place) => one === z[place]);
    said.who.textContent = which ? `drawn rater ${draw + 1} of ${draws.length}` : "a latent vector that was not drawn for this image";
    said.truth_dice.textContent = numbers.truth_dice.toFixed(3);
    said.dice.textContent = diceWords(numbers.dice);
    for (const name of ["area_px", "truth_px"]) said[name].textContent = numbers[name];
    return numbers;
  }
  return self;
}

// Case, the button, and a slider for each latent number; gives the place where it is said who is shown.
function addControls(self, data) {
  caseSlider(self, data);
  const row = add(self.box, "div", { class: "lu-row" });
  button(self, row, {
    name: "draw", label: "draw a rater",
    press: (v) => {
      v.draw = (v.draw + 1) % data.draws[v.case].length;
      v.z = [...data.draws[v.case][v.draw]];
    },
  });
  const who = number(row, "who", "shown:");
  data.latents.forEach(({ name, low, high, step, digits }, place) =>
    slider(self, self.box, {
      name: `z.${place}`, label: name, min: low, max: high, step,
      read: (v) => v.z[place], write: (v, to) => (v.z[place] = to), words: (to) => to.toFixed(digits).replace("-", "−"),
    }),
  );
  checkbox(self, self.box, {
    name: "raters", label: "raters' outlines", read: (v) => v.raters, write: (v, yes) => (v.raters = yes),
  });
  return { who };
}
