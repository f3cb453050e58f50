// Words become nodes here, never HTML: **bold**, `code`, and a row of ▓░ becomes a bar.

import { commands, word } from "/static/words.js";

const MARKS = /(\*\*[^*\n]+\*\*|`[^`\n]+`|[▓█░▒]{5,}|(?<![^\s(])\/[a-z]{3,20}(?![\w/.]))/u;
const BAR = /^([▓█]*)([░▒]*)$/u;

export function make(tag, props = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (name in node) node[name] = value;
    else node.setAttribute(name, value);
  }
  node.append(...children);
  return node;
}

function bar(full, empty) {
  return make("progress", { value: full.length, max: full.length + empty.length });
}

function piece(text) {
  if (text.startsWith("**") && text.length > 4) return make("strong", {}, text.slice(2, -2));
  if (text.startsWith("`") && text.length > 2) {
    return make("button", { type: "button", className: "code", title: word("copy") }, text.slice(1, -1));
  }
  if (text.startsWith("/") && commands.has(text.slice(1))) {
    const said = make("button", { type: "button", className: "command" }, text);
    said.dataset.say = text;
    return said;
  }
  const found = text.length >= 5 && BAR.exec(text);
  return found ? bar(found[1], found[2]) : text;
}

export function words(text) {
  const lines = text.split("\n").map((line) => {
    const pieces = line.split(MARKS).filter(Boolean).map(piece);
    return make("p", { className: line.trim() ? "" : "gap" }, ...pieces);
  });
  return lines;
}

// What a screen reader says: the text without its marks.
export function spoken(text) {
  return text.replaceAll("**", "").replaceAll("`", "").replace(/[▓█░▒]+/gu, " ");
}

// A link of a button opens only where a browser is meant to go.
export function safe(url) {
  const to = new URL(url, location.href);
  return ["http:", "https:"].includes(to.protocol) ? to.href : "#";
}
