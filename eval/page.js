"use strict";
// Moves the page between the levels of the floor, and projects the bill. Every word and number of
// a level was written by the evaluation: this puts them in their places, as text and never as HTML.
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const floor = document.getElementById("floor");
  const steps = document.getElementById("steps");
  const each = (selector, act) => document.querySelectorAll(selector).forEach(act);
  const write = (id, text) => { document.getElementById(id).textContent = text; };
  let at = data.ships;

  function money(usd) {
    const size = Math.abs(usd);
    const digits = usd === 0 || size >= 1000 ? 0 : size >= 1 ? 2 : 4;
    const whole = Math.floor(size * 10 ** digits + 0.5) / 10 ** digits;
    const shown = whole.toLocaleString("en-US", { minimumFractionDigits: digits, maximumFractionDigits: digits });
    return (usd < 0 && whole > 0 ? "-" : "") + shown + "\u00a0USD";
  }

  function share(count, total) {
    if (count === 0 || total === 0) return "0\u00a0%";
    const whole = Math.floor((100 * count) / total + 0.5);
    return whole === 0 ? "<1\u00a0%" : whole + "\u00a0%";
  }

  function mixed(counts, total, most) {
    const serving = counts.map((count, tier) => tier).filter((tier) => counts[tier] > 0);
    const named = [...serving].sort((one, two) => counts[two] - counts[one]).slice(0, most);
    const told = named.sort((one, two) => one - two)
      .map((tier) => data.tiers[tier] + " " + share(counts[tier], total));
    const left = total - named.reduce((sum, tier) => sum + counts[tier], 0);
    const others = serving.length - named.length;
    if (left) told.push(others + (others === 1 ? " other " : " others ") + share(left, total));
    return told.join(", ") || "no steps";
  }

  function showTexts(state) {
    each("[data-text]", (one) => { one.textContent = state.texts[one.dataset.text]; });
    each("[data-kind]", (one) => { one.dataset.kind = state.kind; });
  }

  function showMix(rows) {
    each("[data-row]", (row) => {
      const counts = rows[Number(row.dataset.row)];
      const total = counts.reduce((sum, one) => sum + one, 0);
      let left = 0;
      row.querySelectorAll("rect").forEach((bar, tier) => {
        const width = (100 * counts[tier]) / Math.max(total, 1);
        bar.setAttribute("x", left.toFixed(2));
        bar.setAttribute("width", width.toFixed(2));
        left += width;
      });
      row.querySelector(".told").textContent = mixed(counts, total, Number(row.dataset.most));
    });
  }

  function set(element, values) {
    Object.entries(values).forEach(([name, value]) => element.setAttribute(name, value));
  }

  function showPlace() {
    Object.entries(data.places).forEach(([kind, places]) => {
      const drawing = document.querySelector("svg." + kind);
      const [x, y, left, right, low, high, height] = places[at];
      set(drawing.querySelector(".now .across"), { x1: left, x2: right, y1: y, y2: y });
      set(drawing.querySelector(".now .up"), { x1: x, x2: x, y1: low, y2: high });
      set(drawing.querySelector(".now .spot"), { cx: x, cy: y });
      const line = drawing.querySelector(".floor-line");
      line.classList.toggle("away", height === null);
      if (height !== null) {
        set(line.querySelector("line"), { y1: height, y2: height });
        set(line.querySelector("text"), { y: height - 5 });
        line.querySelector("text").textContent = "floor " + data.states[at].name;
      }
    });
  }

  function showBill() {
    const count = steps.valueAsNumber;
    const known = Number.isFinite(count) && count >= 0;
    const { cost, less } = data.states[at];
    const said = (usd) => (known && usd !== null ? money(usd * count) : "-");
    const ends = (one) => said(one[1]).replace("\u00a0USD", "") + " to " + said(one[2]);
    steps.setAttribute("aria-invalid", String(!known));
    document.getElementById("steps-wrong").hidden = known;
    write("bill", said(cost[0]));
    write("bill-again", said(cost[0]));
    write("bill-ends", ends(cost));
    write("bill-ends-again", ends(cost));
    write("bill-reference", said(data.reference));
    write("bill-less", said(less[0]));
    write("bill-less-ends", ends(less));
  }

  function show() {
    const state = data.states[at];
    showTexts(state);
    showMix(data.mixes[state.mix]);
    showPlace();
    showBill();
    if (floor) floor.setAttribute("aria-valuetext", state.name + ", " + state.texts.badge);
    each(".strip i", (cell, index) => cell.classList.toggle("here", index === at));
  }

  function choose(index) {
    at = index;
    show();
    write("said", data.states[at].texts.lead + " " + data.states[at].texts.promise);
  }

  if (floor) {
    floor.addEventListener("input", () => choose(Number(floor.value)));
    document.getElementById("back").addEventListener("click", () => {
      floor.value = String(data.ships);
      choose(data.ships);
      floor.focus();
    });
  }
  steps.addEventListener("input", showBill);
  // Paper shows everything, also what is folded on the screen.
  window.addEventListener("beforeprint", () => each("details", (one) => { one.open = true; }));
  // A browser that comes back to the page may have kept what was typed.
  window.addEventListener("pageshow", () => { if (floor) at = Number(floor.value); show(); });
  each(".needs-script", (one) => { one.hidden = false; });
})();
