// The page's own words, in the language that the server chose.

const known = JSON.parse(document.body.dataset.words);
const rules = new Intl.PluralRules(document.documentElement.lang);
const FORMS = { one: 0, few: 1, many: 2 };

export function word(name, args = {}) {
  return filled(known[name][0], args);
}

// The forms stand in the order of the catalogue; what has no form of its own takes the last.
export function counted(name, n) {
  const forms = known[name];
  const at = Math.min(FORMS[rules.select(n)] ?? forms.length, forms.length - 1);
  return filled(forms[at], { n });
}

// What can be said by pressing on it, wherever it stands in a text.
export const commands = new Set(document.body.dataset.commands.split(" "));

function filled(text, args) {
  return text.replace(/\{(\w+)\}/g, (whole, name) => args[name] ?? whole);
}
