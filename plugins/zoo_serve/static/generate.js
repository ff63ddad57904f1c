// Text is shown as it is drawn.

import { stream } from "./api.js";
import { $, element, showError } from "./dom.js";

let model;
let running = null;

export function useGenerate(card, limits) {
  model = card;
  running?.abort();
  $("length").max = limits.tokens;
}

export function startGenerate() {
  for (const id of ["temperature", "top-p"]) {
    const show = () => { $(`${id}-value`).textContent = Number($(id).value).toFixed(2); };
    $(id).addEventListener("input", show);
    show();
  }
  $("generate-form").addEventListener("submit", (event) => {
    event.preventDefault();
    generate();
  });
  $("prompt").addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) $("generate-form").requestSubmit();
  });
  $("generate-stop").addEventListener("click", () => running?.abort());
}

async function generate() {
  running?.abort();
  const mine = new AbortController();
  running = mine;
  const prompt = $("prompt").value;
  const text = document.createTextNode("");
  $("generated").replaceChildren(element("span", { class: "prompt" }, prompt), text);
  $("generate-stop").disabled = false;
  $("generate-start").disabled = true;
  $("generate-status").textContent = "Generating";
  const body = {
    model: model.name,
    prompt,
    length: Number($("length").value),
    temperature: Number($("temperature").value),
    top_p: Number($("top-p").value),
    stream: true,
  };
  const started = performance.now();
  let status;
  try {
    const end = await stream("v1/generate", body, (piece) => {
      const box = $("generated");
      const atEnd = box.scrollHeight - box.scrollTop - box.clientHeight < 40;
      text.appendData(piece);
      if (atEnd) box.scrollTop = box.scrollHeight;
    }, mine.signal);
    const rate = Math.round(end.tokens / ((performance.now() - started) / 1000));
    const why = { length: "", timeout: "; its time was up", shutdown: "; the server ends" };
    status = `${end.tokens} tokens, ${rate} a second${why[end.reason] ?? ""}`;
    showError(null);
  } catch (error) {
    const stopped = error.name === "AbortError";
    status = stopped ? `Stopped after ${text.length} characters` : "";
    if (!stopped) showError(error);
  }
  if (running !== mine) return;
  $("generate-status").textContent = status;
  $("generate-stop").disabled = true;
  $("generate-start").disabled = false;
}
