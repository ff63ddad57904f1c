// What each piece of a text adds to the answer, as the colour behind it.

import { $, element } from "./dom.js";

const MOST_NAMED = 5;
const STRONGEST = 0.55; // Opacity: text stays readable on it.

export function showWords(text, { target, unit, pieces, method }) {
  const characters = Array.from(text); // Pieces count characters, JavaScript halves of them.
  const largest = Math.max(...pieces.map((piece) => Math.abs(piece.value)), 1e-12);
  const shown = [];
  let end = 0;
  for (const piece of pieces) {
    shown.push(characters.slice(end, piece.start).join(""));
    const mark = element("mark", { title: signed(piece.value, unit) });
    mark.textContent = characters.slice(piece.start, piece.end).join("");
    const colour = piece.value > 0 ? "--for" : "--against";
    const strength = (STRONGEST * Math.abs(piece.value)) / largest;
    mark.style.backgroundColor = `rgba(var(${colour}), ${strength.toFixed(3)})`;
    shown.push(mark);
    end = piece.end;
  }
  shown.push(characters.slice(end).join(""));
  $("words-text").replaceChildren(...shown);
  const name = target || "the answer";
  $("words-legend").replaceChildren(
    element("span", { class: "key for" }, target ? `for ${name}` : "raises it"),
    " ",
    element("span", { class: "key against" }, target ? `against ${name}` : "lowers it"),
    ` ${method}`,
  );
  const named = [...pieces].sort((a, b) => Math.abs(b.value) - Math.abs(a.value));
  const strongest = named.slice(0, MOST_NAMED).map((piece) => {
    const word = characters.slice(piece.start, piece.end).join("");
    return `${word} ${signed(piece.value)}`;
  });
  $("words-summary").textContent = strongest.length
    ? `Largest shares of ${name}, in ${unit}: ${strongest.join(", ")}`
    : "";
  $("words").hidden = false;
}

function signed(value, unit = "") {
  const text = `${value < 0 ? "\u2212" : "+"}${Math.abs(value).toFixed(2)}`;
  return unit ? `${text} ${unit}` : text;
}
