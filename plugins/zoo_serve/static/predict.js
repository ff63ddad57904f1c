// A text is predicted and explained while it is typed.

import { request } from "./api.js";
import { $, element, percent, showError } from "./dom.js";
import { showWords } from "./words.js";

const TYPING = 150; // Milliseconds without a key before a text is sent.
const MOST_BARS = 10;
const MOST_EXPLAINED = 5000; // Characters.

let timer;
let running = new AbortController(); // Of the newest text: answers to older ones are dropped.
let model;

export function usePredict(card) {
  model = card;
  update();
}

export function startPredict() {
  $("text").addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(update, TYPING);
  });
}

async function update() {
  running.abort();
  running = new AbortController();
  const { signal } = running;
  const text = $("text").value;
  const { name, capabilities } = model;
  if (!capabilities.includes("predict")) return;
  if (!text.trim()) {
    $("words").hidden = true;
    $("answer").replaceChildren(element("p", { class: "quiet" }, "Nothing to predict yet."));
    return;
  }
  try {
    const { predictions } = await request("v1/predict", { model: name, text }, signal);
    $("answer").replaceChildren(...describe(predictions[0]));
    showError(null);
    if (capabilities.includes("explain") && text.length <= MOST_EXPLAINED) {
      const found = await request("v1/explain", { model: name, text }, signal);
      showWords(text, found.explanations[0]);
    } else {
      $("words").hidden = true;
    }
  } catch (error) {
    if (error.name !== "AbortError") showError(error);
  }
}

// Returns the elements that show a prediction of any kind.
function describe(prediction) {
  const { label, labels, values, output, tags, scores, known } = prediction;
  const shown = [];
  const answer = summary(prediction);
  shown.push(element("p", { class: "label", id: "label" }, answer));
  if (scores) {
    const chosen = new Set(labels ?? [label]);
    const ranked = Object.entries(scores).sort((a, b) => b[1] - a[1]);
    shown.push(bars(ranked.slice(0, MOST_BARS), chosen));
    if (ranked.length > MOST_BARS) {
      const rest = `and ${ranked.length - MOST_BARS} less likely labels`;
      shown.push(element("p", { class: "quiet" }, rest));
    }
  } else if (prediction.probability !== undefined && (tags || output !== undefined || values)) {
    shown.push(element("p", { class: "quiet" }, `Probability ${percent(prediction.probability)}`));
  }
  if (known === 0) {
    const note = "The training knew nothing of this text: the answer says nothing about it.";
    shown.push(element("p", { class: "quiet" }, note));
  } else if (known < 1) {
    const note = `The training knew ${percent(known)} of the words.`;
    shown.push(element("p", { class: "quiet" }, note));
  }
  return shown;
}

// Returns a prediction in a few words, as in a cell of a table.
export function summary({ label, labels, values, output, tags, ...others }) {
  if (label !== undefined) return label;
  if (labels) return labels.join(", ") || "no label";
  if (values) return values.map((value) => Number(value.toPrecision(6))).join(" ");
  if (output !== undefined) return output;
  if (tags) return tags.join(" ");
  return JSON.stringify(others);
}

function bars(ranked, chosen) {
  const table = element("table", { class: "bars" });
  table.append(element("caption", { class: "visually-hidden" }, "Probability of each label"));
  for (const [name, share] of ranked) {
    const bar = element("span");
    bar.style.width = `${100 * share}%`;
    const row = element(
      "tr",
      { class: chosen.has(name) ? "chosen" : "" },
      element("th", { scope: "row" }, name),
      element("td", { "aria-hidden": "true" }, element("div", { class: "track" }, bar)),
      element("td", {}, percent(share)),
    );
    table.append(row);
  }
  return table;
}
