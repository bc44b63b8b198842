// Elements of text: whatever a document says is put into them as text, never as markup.

function element(name, properties = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (value === undefined || value === null || value === false) continue;
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else made.setAttribute(key === "className" ? "class" : key, value === true ? "" : value);
  }
  made.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return made;
}

const glyph = (state) => element("i", { className: `glyph ${state}`, "aria-hidden": "true" });

const badge = (state) => element("span", { className: "badge" }, glyph(state), state);

const link = (target, text) => element("a", { href: target, rel: "noreferrer" }, text);

// A text in which addresses, written as such or as <address>, are links.
function linked(text) {
  return text.split(/(<?https?:\/\/[^\s<>]+>?)/).map((part) => {
    const target = part.replace(/^<|>$/g, "");
    return /^https?:\/\//.test(target) ? link(target, target) : part;
  });
}

// What a case links to: an address, owner/name#number on GitHub, or words.
function reference(said) {
  const issue = /^([\w.-]+\/[\w.-]+)#(\d+)$/.exec(said);
  return issue ? link(`https://github.com/${issue[1]}/issues/${issue[2]}`, said) : linked(said);
}

// A table in a box of its own, which scrolls where it is too wide.
function table({ label, of, remark }, headers, rows) {
  const heads = headers.map((header) => element("th", { scope: "col", className: header.number && "number" }, header.text));
  const body = rows.map((cells) => element("tr", {}, cells.map((cell, column) =>
    element(column ? "td" : "th", { scope: !column && "row", className: headers[column].number && "number" }, cell))));
  return element("div", { className: "wide", role: "region", "aria-label": `${label}: ${of}`, tabindex: "0" },
    element("table", {}, element("caption", {}, label, remark && element("small", {}, remark)), element("thead", {}, element("tr", {}, heads)),
      element("tbody", {}, body)));
}

// A bar from 0 to `share` of the width, with a line at `mark`; what it shows is told beside it as a number.
function bar(share, beyond, mark) {
  const drawn = (name, attributes) => {
    const made = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    return made;
  };
  const svg = drawn("svg", { viewBox: "0 0 100 10", preserveAspectRatio: "none", class: "bar", "aria-hidden": "true" });
  svg.append(drawn("rect", { x: 0, y: 1, height: 8, width: Math.max(0, share) * 100, class: beyond ? "beyond" : "within" }));
  if (mark !== undefined) svg.append(drawn("rect", { x: mark * 100 - 0.4, y: 0, height: 10, width: 0.8, class: "mark" }));
  return svg;
}

// Numbers as a reader wants them; those that JSON cannot write are words already.
const real = (value) => (value === "inf" ? Infinity : value === "-inf" ? -Infinity : value === "nan" ? NaN : value);

function short(value, digits = 2) {
  if (typeof value !== "number") return String(value);
  return value === 0 ? "0" : value.toExponential(digits - 1);
}

function ratio(value) {
  if (typeof value !== "number") return String(value);
  if (value >= 1e5 || (value && value < 1e-3)) return short(value, 3);
  return Number(value.toPrecision(value < 100 ? 2 : 3)).toLocaleString("en", { maximumSignificantDigits: 3 });
}

// Two numbers with as many digits as it takes to see that they differ, and one more.
function differing(actual, expected) {
  if (typeof actual !== "number" || typeof expected !== "number") return [actual, expected].map((v) => trimmed(v, 9));
  let digits = 6;
  while (digits < 17 && actual.toPrecision(digits) === expected.toPrecision(digits)) digits += 1;
  return [actual, expected].map((value) => trimmed(value, Math.min(digits + 1, 17)));
}

const trimmed = (value, digits) =>
  (typeof value === "number" ? String(Number(value.toPrecision(digits))) : String(value ?? "–"));
