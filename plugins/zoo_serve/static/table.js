// A file of texts is predicted in requests of a bounded size; the result is a table to download.

import { request } from "./api.js";
import { delimiterOf, parse, write } from "./csv.js";
import { $, element, percent, showError } from "./dom.js";
import { summary } from "./predict.js";

const TEXTS = 256; // Of a request; or fewer that have so many characters.
const CHARACTERS = 200_000;
const SHOWN = 200;
const LARGEST_FILE = 100 * 2 ** 20;

let model;
let limits;
let rows = [];
let running = null;

export function useTable(card, served) {
  model = card;
  limits = served;
  stop();
}

export function startTable() {
  $("file").addEventListener("change", () => read($("file").files[0]));
  $("column").addEventListener("change", predictRows);
  $("header").addEventListener("change", () => {
    listColumns();
    predictRows();
  });
  $("table-start").addEventListener("click", predictRows);
  $("table-stop").addEventListener("click", stop);
  for (const type of ["dragenter", "dragover"]) {
    document.addEventListener(type, (event) => {
      event.preventDefault();
      $("drop").classList.add("over");
    });
  }
  document.addEventListener("dragleave", (event) => {
    if (!event.relatedTarget) $("drop").classList.remove("over");
  });
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    $("drop").classList.remove("over");
    if (!$("table").hidden) read(event.dataTransfer.files[0]);
  });
}

function stop() {
  running?.abort();
}

async function read(file) {
  if (!file) return;
  showError(null);
  if (file.size > LARGEST_FILE) {
    showError(new Error(`${file.name} has more than 100 MiB: use zoo predict.`));
    return;
  }
  let text;
  const bytes = await file.arrayBuffer();
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    text = new TextDecoder("windows-1252").decode(bytes);
  }
  const delimiter = delimiterOf(file.name, text);
  rows = delimiter
    ? parse(text, delimiter)
    : text.split(/\r\n|\n|\r/).filter((line) => line.trim()).map((line) => [line]);
  if (!rows.length) {
    showError(new Error(`${file.name} has no texts.`));
    return;
  }
  const width = Math.max(...rows.slice(0, 1000).map((row) => row.length));
  rows = rows.map((row) => Array.from({ length: width }, (_, i) => row[i] ?? ""));
  $("header").checked = Boolean(delimiter) && hasHeader();
  $("header").parentElement.hidden = !delimiter;
  listColumns();
  $("table-settings").hidden = false;
  await predictRows();
}

// The first row has names if one is that of a column of texts, or all are short words of their own.
function hasHeader() {
  const first = rows[0].map((cell) => cell.trim().toLowerCase());
  if (first.some((cell) => /^(text|review|message|sentence|body|comment|content)s?$/.test(cell))) return true;
  return rows.length > 1 && new Set(first).size === first.length
    && first.every((cell) => /^[a-z_][\w ]{0,30}$/.test(cell));
}

function listColumns() {
  const names = $("header").checked ? rows[0] : rows[0].map((_, i) => `column ${i + 1}`);
  const body = rows.slice($("header").checked ? 1 : 0, 200);
  const sizes = names.map((_, i) => body.reduce((sum, row) => sum + row[i].length, 0));
  const longest = sizes.indexOf(Math.max(...sizes));
  $("column").replaceChildren(...names.map((name, i) => new Option(name || `column ${i + 1}`, i)));
  $("column").value = longest;
  $("column").parentElement.hidden = names.length === 1;
}

async function predictRows() {
  stop();
  const mine = new AbortController();
  running = mine;
  const column = Number($("column").value);
  const body = rows.slice($("header").checked ? 1 : 0);
  const texts = body.map((row) => row[column]);
  const found = [];
  $("download").hidden = true;
  $("table-stop").hidden = false;
  $("table-start").hidden = true;
  $("table-progress").hidden = false;
  $("table-progress").max = texts.length;
  $("table-progress").value = 0;
  try {
    while (found.length < texts.length) {
      const part = chunk(texts, found.length);
      const answer = await patiently(
        () => request("v1/predict", { model: model.name, texts: part }, mine.signal),
        mine.signal,
      );
      found.push(...answer.predictions);
      $("table-progress").value = found.length;
      $("table-status").textContent = `${found.length} of ${texts.length} texts`;
    }
    showError(null);
  } catch (error) {
    if (error.name !== "AbortError") showError(error);
  }
  if (running !== mine) return; // Another file, column or model has taken its place.
  $("table-progress").hidden = true;
  $("table-stop").hidden = true;
  $("table-start").hidden = false;
  show(body, texts, found);
}

function chunk(texts, start) {
  const part = [];
  let size = 0;
  for (let i = start; i < texts.length && part.length < Math.min(TEXTS, limits.texts); i++) {
    const text = texts[i].slice(0, limits.characters);
    if (part.length && size + text.length > CHARACTERS) break;
    part.push(text);
    size += text.length;
  }
  return part;
}

// Repeats a request that is refused because much else is being computed.
async function patiently(ask, signal) {
  for (let wait = 500; ; wait *= 2) {
    try {
      return await ask();
    } catch (error) {
      if (![429, 503].includes(error.status) || wait > 8000) throw error;
      await new Promise((resolve) => setTimeout(resolve, wait));
      signal.throwIfAborted();
    }
  }
}

function show(body, texts, found) {
  const counts = new Map();
  for (const each of found) counts.set(summary(each), (counts.get(summary(each)) ?? 0) + 1);
  const commonest = [...counts].sort((a, b) => b[1] - a[1]).slice(0, 4);
  const kinds = model.labels.length
    ? `: ${commonest.map(([name, count]) => `${name} ${count}`).join(", ")}` : "";
  const done = found.length < texts.length ? ` of ${texts.length}` : "";
  const first = found.length > SHOWN ? `; the first ${SHOWN} are shown` : "";
  $("table-status").textContent = `${found.length}${done} texts${kinds}${first}`;
  const table = element("table", {}, element("thead", {}, element("tr", {},
    ...["Prediction", "Probability", "Text"].map((name) => element("th", { scope: "col" }, name)))));
  const lines = found.slice(0, SHOWN).map((each, i) => element("tr", {},
    element("td", {}, summary(each)),
    element("td", { class: "number" }, each.probability === undefined ? "" : percent(each.probability)),
    element("td", {}, texts[i].length > 300 ? `${texts[i].slice(0, 300)}\u2026` : texts[i])));
  table.append(element("tbody", {}, ...lines));
  $("rows").replaceChildren(table);
  $("rows").hidden = !found.length;
  if (!found.length) return;
  const names = $("header").checked ? rows[0] : body[0].map((_, i) => `column ${i + 1}`);
  const cells = found.map((each, i) => [...body[i], summary(each), each.probability ?? ""]);
  const text = write([[...names, "prediction", "probability"], ...cells]);
  URL.revokeObjectURL($("download").href);
  $("download").href = URL.createObjectURL(new Blob(["\ufeff", text], { type: "text/csv" }));
  $("download").hidden = false;
}
