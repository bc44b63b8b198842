// The controls write the address; the address is what the page shows.

const form = document.getElementById("filters");
const fold = document.getElementById("fold");

function options(select, entries) {
  select.append(...entries.map(([value, text]) => element("option", { value }, text)));
}

function counted(keys) {
  const counts = new Map();
  for (const key of keys) counts.set(key, (counts.get(key) ?? 0) + 1);
  return counts;
}

const byKind = counted(results.flatMap((result) => result.kinds ?? []));
options(form.elements.cause, kinds.filter((kind) => byKind.has(kind))
  .map((kind) => [kind, `${kind} (${byKind.get(kind).toLocaleString("en")})`]));

const byFamily = counted(columns.map((_, column) => family(column)));
options(form.elements.runner, columns.flatMap((label, column) => {
  const name = family(column);
  const first = columns.findIndex((_, other) => family(other) === name) === column;
  return [...(first && byFamily.get(name) > 1 ? [[`${name}:*`, `${name}, all ${byFamily.get(name)}`]] : []), [label, label]];
}));

function write() {
  const data = new FormData(form);
  location.replace(address({
    verdict: data.getAll("verdict").join(","), cause: data.get("cause"), runner: data.get("runner"), text: data.get("text"),
  }));
}

form.addEventListener("input", write);
form.addEventListener("submit", (event) => event.preventDefault());
form.addEventListener("reset", (event) => {
  event.preventDefault();
  location.replace(address({ verdict: null, cause: null, runner: null, text: null }));
});
document.getElementById("again").addEventListener("click", () => form.reset());

// The controls show what the address says, however it came to be.
function show(parameters) {
  const verdicts = (parameters.get("verdict") ?? "").split(",");
  for (const box of form.querySelectorAll("[name=verdict]")) box.checked = verdicts.includes(box.value);
  for (const name of ["cause", "runner", "text"]) {
    const value = parameters.get(name) ?? "";
    if (form.elements[name].value !== value) form.elements[name].value = value;
  }
}

const several = subjects.flatMap(({ files }) => files).filter((file) => file.cases.length > 1).map(({ name }) => name);
if (cases.length < MANY) unfolded = new Set(several);

fold.hidden = !several.length;
fold.addEventListener("click", () => {
  unfolded = new Set(unfolded.size ? [] : several);
  update();
});
