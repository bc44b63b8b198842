// What the document says, and which of it the address asks for.

const { states, kinds, columns, cases, edges, results } = JSON.parse(document.getElementById("data").textContent);

const WORST_FIRST = ["error", "fail", "expected", "documented", "pass", "unsupported"];
const GLYPHS = { pass: "·", documented: "d", expected: "x", fail: "✕", error: "!", unsupported: "–" };

// The place of the result of a case on a column, or -1: result[case * columns.length + column].
const placed = new Int32Array(cases.length * columns.length).fill(-1);
results.forEach((result, place) => { placed[result.case * columns.length + result.column] = place; });

// Cases by file, files by subject: [{subject, files: [{name, cases: [place]}]}].
const grouped = new Map();
cases.forEach(({ id }, place) => {
  const name = id.split("[", 1)[0];
  const subject = name.includes("/") ? name.split("/", 1)[0] : "";
  if (!grouped.has(subject)) grouped.set(subject, new Map());
  const files = grouped.get(subject);
  if (!files.has(name)) files.set(name, { name, cases: [] });
  files.get(name).cases.push(place);
});
const subjects = [...grouped].map(([subject, files]) => ({ subject, files: [...files.values()] }));

const words = cases.map(({ id, title = "" }) => `${id} ${title}`.toLowerCase());
results.forEach((result) => {
  const said = (result.causes ?? []).map(({ kind, message }) => `${kind} ${message}`);
  result.words = [result.did ?? "", result.why ?? "", ...said].join(" ").toLowerCase();
});

const family = (column) => columns[column].split(/:| on /, 1)[0];

// The address: what is filtered (verdict, cause, runner, text), folded, and opened (case, on).
const read = () => new URLSearchParams(location.hash.slice(1));

function address(changes) {
  const parameters = read();
  for (const [key, value] of Object.entries(changes)) {
    if (value) parameters.set(key, value); else parameters.delete(key);
  }
  return `#${parameters}`;
}

// Which results the filters leave: an array of booleans, one for each.
function filtered(parameters) {
  const verdicts = (parameters.get("verdict") ?? "").split(",").filter(Boolean);
  const cause = parameters.get("cause");
  const runner = parameters.get("runner");
  const sought = (parameters.get("text") ?? "").toLowerCase().split(/\s+/).filter(Boolean);
  const wanted = columns.map((label, column) =>
    !runner || label === runner || (runner.endsWith(":*") && family(column) === runner.slice(0, -2)));
  return results.map((result) =>
    wanted[result.column]
    && (!verdicts.length || verdicts.includes(result.state))
    && (!cause || (result.kinds ?? []).includes(cause))
    && sought.every((word) => words[result.case].includes(word) || result.words.includes(word)));
}

// Who did what: the results of a case that are alike, [{state, did, results: [place]}], the worst first. What an
// implementation said of itself is alike whatever times, addresses and process numbers are in it.
function alike(place) {
  const groups = new Map();
  columns.forEach((_, column) => {
    const at = placed[place * columns.length + column];
    if (at < 0) return;
    const { state, did = "", kinds: causes = [] } = results[at];
    const said = ["error", "unsupported"].includes(state) || causes.includes("refused");
    const key = `${state} ${said ? did.replace(/0x[0-9a-f]+|\d+(\.\d+)?/g, "#") : did}`;
    if (!groups.has(key)) groups.set(key, { state, did, results: [] });
    groups.get(key).results.push(at);
  });
  const rank = ({ state }) => WORST_FIRST.indexOf(state);
  return [...groups.values()].sort((a, b) => rank(a) - rank(b) || b.results.length - a.results.length);
}

const plural = (count, noun) => `${count.toLocaleString("en")} ${noun}${count === 1 ? "" : "s"}`;
