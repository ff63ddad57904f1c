// The page: which model is used, and which parts of the page it needs.

import { request, setToken } from "./api.js";
import { $, element, showError } from "./dom.js";
import { startGenerate, useGenerate } from "./generate.js";
import { startPredict, usePredict } from "./predict.js";
import { startTable, useTable } from "./table.js";

let served = { models: [], limits: {} };

async function load() {
  try {
    served = await request("v1/models");
  } catch (error) {
    showError(error);
    return;
  }
  showError(null);
  $("token-form").hidden = true;
  $("model").replaceChildren(...served.models.map(({ name }) => new Option(name)));
  $("model-choice").hidden = served.models.length < 2;
  const chosen = decodeURIComponent(location.hash.slice(1));
  if (served.models.some(({ name }) => name === chosen)) $("model").value = chosen;
  choose();
}

function choose() {
  const card = served.models.find(({ name }) => name === $("model").value);
  const can = (what) => card.capabilities.includes(what);
  document.title = `${card.name} \u2013 zoo serve`;
  $("title").textContent = card.name;
  history.replaceState(null, "", `#${encodeURIComponent(card.name)}`);
  $("predict").hidden = $("table").hidden = !can("predict");
  $("generate").hidden = !can("generate");
  usePredict(card);
  useTable(card, served.limits);
  useGenerate(card, served.limits);
  describe(card);
}

function describe(card) {
  const facts = [
    ["trained", card.recipe],
    ["task", card.task],
    ["architecture", card.architecture],
    ["labels", card.labels.slice(0, 50).join(", ")],
    ["trained on", card.data],
    ["parameters", card.parameters.toLocaleString("en")],
    ["size of the file", `${Math.ceil(card.bytes / 1024).toLocaleString("en")} KiB`],
    ["digest", card.digest],
  ];
  for (const [split, metrics] of Object.entries(card.metrics)) {
    for (const [name, value] of Object.entries(metrics)) {
      const low = metrics[`${name}_low`];
      if (typeof value !== "number" || /^(step|epoch)$|_(low|high)$/.test(name)) continue;
      const interval = low === undefined ? "" : ` (95 %: ${short(low)} to ${short(metrics[`${name}_high`])})`;
      facts.push([`${split} ${name.replaceAll("_", " ")}`, short(value) + interval]);
    }
  }
  const shown = facts.filter(([, value]) => value);
  $("card").replaceChildren(
    ...shown.flatMap(([name, value]) => [element("dt", {}, name), element("dd", {}, value)]),
  );
  $("about").hidden = false;
}

const short = (value) => (Number.isInteger(value) ? value.toLocaleString("en") : value.toFixed(4));

$("model").addEventListener("change", choose);
$("token-form").addEventListener("submit", (event) => {
  event.preventDefault();
  setToken($("token").value);
  load();
});
startPredict();
startTable();
startGenerate();
load();
