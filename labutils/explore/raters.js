// Flip through cases: each rater's outline, the votes of those who are shown, and how well they stand for all.

const TENTHS = [1, 2, 3, 4, 5, 6, 7, 8, 9];
const needed = (tenths, raters) => Math.floor((tenths * raters + 9) / 10); // the least v with 10 v >= t R

function countVotes(bits, counted) {
  const votes = new Uint8Array(bits.length);
  for (const rater of counted) for (let i = 0; i < bits.length; i++) votes[i] += (bits[i] >> rater) & 1;
  return votes;
}

// What at least t tenths of the raters marked.
const cutVotes = (votes, tenths, raters) => votes.map((v) => v >= needed(tenths, raters));

// Dice at each threshold, or NaN where nobody is shown: who is hidden has not said that there is nothing.
function diceAt(votes, shown, theirs, all) {
  return TENTHS.map((t) => (shown ? overlap(cutVotes(votes, t, shown), cutVotes(theirs, t, all))[1] : NaN));
}

// Nine bars from 0 to 1 with the chosen one marked, and a dotted line at their mean.
function drawBars(pic, dice, score, tenths) {
  const { brush, canvas } = pic;
  const [w, h] = [canvas.width, canvas.height];
  const [left, low, tall, step] = [0.12 * w, 0.88 * h, 0.8 * h, (0.86 * w) / TENTHS.length];
  blank(pic);
  brush.fillStyle = brush.strokeStyle = getComputedStyle(canvas).color;
  brush.font = `${h / 17}px system-ui, sans-serif`;
  brush.lineWidth = h / 250;
  for (const mark of [0, 0.5, 1]) {
    brush.textAlign = "right";
    brush.fillText(String(mark), left - 0.03 * w, low - tall * mark + h / 50);
    line(brush, left - 0.02 * w, low - tall * mark, left, low - tall * mark);
  }
  line(brush, left, low, left, low - tall);
  brush.textAlign = "center";
  for (const t of [1, 5, 9]) brush.fillText((t / 10).toFixed(1), left + (t - 0.4) * step, low + 0.08 * h);
  if (Number.isNaN(score)) return;
  TENTHS.forEach((t, place) => {
    brush.fillStyle = t === tenths ? "#0072b2" : "#8a8f98";
    brush.fillRect(left + (place + 0.25) * step, low - tall * dice[place], 0.7 * step, tall * dice[place]);
  });
  brush.setLineDash([h / 100, h / 60]);
  line(brush, left, low - tall * score, w, low - tall * score);
  brush.setLineDash([]);
}

function mount(root, data, value, changed) {
  const self = frame(root, "raters", data, value, changed);
  const size = { height: data.height, width: data.width };
  const present = (rater) => data.cases[self.value.case].present[rater];
  caseSlider(self, data);
  const checks = add(self.box, "div", { class: "lu-checks" });
  const said = data.raters.map((rater, r) => {
    const { row, words } = checkbox(self, checks, {
      name: `shown.${r}`, label: rater.name,
      read: (v) => v.shown[r] && present(r), write: (v, yes) => (v.shown[r] = yes), usable: () => present(r),
    });
    swatch(row, rater.color, rater.dash);
    return words;
  });
  const pictures = add(self.box, "div", { class: "lu-pictures" });
  const left = picture(pictures, { ...size, caption: "what each rater drew" });
  const right = picture(pictures, { ...size, caption: "votes" });
  const bars = data.bars && picture(pictures, { ...size, caption: "Dice with all raters at each threshold; dotted: mean" });
  slider(self, self.box, {
    name: "threshold", label: "threshold", min: 1, max: 9,
    read: (v) => v.threshold, write: (v, to) => (v.threshold = to), words: (t) => `${t / 10} of the raters`,
  });
  const numbers = add(self.box, "div", { class: "lu-numbers" });
  const [dice, score] = [number(numbers, "dice", "Dice with all raters at this threshold:"),
    number(numbers, "score", "QUBIQ score, the mean of nine:")];

  Promise.all([unpack(data.images), unpack(data.masks)]).then(([images, masks]) => {
    self.draw = () => draw(plane(images, self.value.case), plane(masks, self.value.case));
    self.redraw();
  });

  function draw(image, bits) {
    stretch([left, right], data.cases[self.value.case].tall);
    const all = data.raters.map((_, r) => r).filter(present);
    const counted = all.filter((r) => self.value.shown[r]);
    const [votes, theirs] = [countVotes(bits, counted), countVotes(bits, all)];
    const found = diceAt(votes, counted.length, theirs, all.length);
    const score = mean(found);
    drawOutlines(image, bits, counted);
    drawVotes(image, votes, counted.length);
    if (bars) drawBars(bars, found, score, self.value.threshold);
    say(bits, counted, found, score);
    return { dice: found, score };
  }

  function drawOutlines(image, bits, counted) {
    paintGray(left, image);
    outlineRaters(left, bits, data.raters, counted);
    scaleBar(left, data.cases[self.value.case].bar);
  }

  function drawVotes(image, votes, raters) {
    paintGray(right, image);
    if (raters > 0) {
      const colors = data.palettes[raters - 1];
      paint(right, (i) => (votes[i] ? [...colors[votes[i] - 1], 217] : null));
      const need = needed(self.value.threshold, raters);
      outline(right, (i) => votes[i] >= need, { color: "#ffffff", width: 2 });
    }
    scaleBar(right, data.cases[self.value.case].bar);
  }

  function say(bits, counted, found, average) {
    const words = raterWords(data.raters, data.cases[self.value.case].present, bits);
    words.forEach((one, r) => (said[r].textContent = one));
    const [at, n] = [data.cases[self.value.case].label, counted.length];
    left.canvas.setAttribute("aria-label", `${at}: outlines of ${n} of ${data.raters.length} raters`);
    right.canvas.setAttribute("aria-label", `${at}: votes of ${n} raters, and the line around ${self.value.threshold / 10}`);
    const votes = n ? data.palettes[n - 1].map((color, v) => [`rgb(${color})`, `${v + 1}`]) : [];
    key(right, n ? `votes of ${n}:` : "no rater is shown: there are no votes to compare", [...votes, ...(n ? [["#ffffff", "cut", "line"]] : [])]);
    const bare = n ? found.map((one) => one.toFixed(2)).join(", ") : "none, as no rater is shown";
    if (bars) bars.canvas.setAttribute("aria-label", `Dice at nine thresholds: ${bare}`);
    dice.textContent = n ? found[self.value.threshold - 1].toFixed(3) : "–";
    score.textContent = n ? average.toFixed(3) : "–";
  }
  return self;
}
