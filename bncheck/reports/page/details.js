// A result, or a case with what everyone made of it, in the dialog.

const dialog = document.getElementById("opened");

const SAID = {
  pass: "No error is larger than rounding explains.",
  documented: "Known: it differs as the implementation documents.",
  expected: "Known: it fails as an expectations file says.",
  fail: "It differs from what is requested by more than rounding explains.",
  error: "It could not be judged.",
  unsupported: "It was not called.",
};

// The shown result that comes so many after this one, or undefined.
function neighbour(place, step, shown) {
  for (let at = place + step; at >= 0 && at < results.length; at += step) if (shown[at]) return results[at];
  return undefined;
}

function open(parameters, shown) {
  const place = cases.findIndex(({ id }) => id === parameters.get("case"));
  const column = columns.indexOf(parameters.get("on"));
  const at = place >= 0 && column >= 0 ? placed[place * columns.length + column] : -1;
  if (place < 0) {
    if (dialog.open) dialog.close();
    return;
  }
  dialog.replaceChildren(...(at >= 0 ? resultDetails(at, shown) : caseDetails(place)));
  if (!dialog.open) dialog.showModal();
  dialog.scrollTop = 0;
  document.getElementById("opened-title").focus();
}

// Escape and the button close; the address then no longer says what was opened.
dialog.addEventListener("close", () => { if (read().has("case")) location.hash = address({ case: null, on: null }); });
dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });

const goTo = (id, on) => address({ case: id, on });

function navigation(...links) {
  const close = element("button", { type: "button", className: "close", onclick: () => dialog.close() }, "Close");
  return element("nav", { "aria-label": "Other results" }, links, close);
}

function resultDetails(at, shown) {
  const result = results[at];
  const { id } = cases[result.case];
  const step = (text, other) => other && element("a",
    { href: goTo(cases[other.case].id, columns[other.column]), title: `${cases[other.case].id} on ${columns[other.column]}` }, text);
  return [
    navigation(step("Previous", neighbour(at, -1, shown)), step("Next", neighbour(at, 1, shown)),
      element("a", { href: goTo(id) }, "All on this case")),
    element("h2", { id: "opened-title", tabindex: "-1" }, id, element("small", {}, ` on ${columns[result.column]}`)),
    element("p", { className: "verdict" }, badge(result.state), ` ${SAID[result.state]}`),
    reasons(result),
    (result.tensors ?? []).map(tensorDetails),
    result.notes && element("section", {}, element("h3", {}, "Notes"),
      element("ul", {}, result.notes.map((note) => element("li", {}, note)))),
    result.command && reproduce(result.command),
    aboutCase(result.case),
  ].flat().filter(Boolean);
}

function reasons(result) {
  const causes = (result.causes ?? []).map(({ kind, message, source, alternative }) => element("li", {},
    element("b", {}, `${alternative ? "or " : ""}${kind}`), ` ${message}`,
    source && element("span", { className: "source" }, "Documented: ", linked(source))));
  const { expectation, documented } = result;
  return element("section", { className: "reasons" },
    causes.length > 0 && [element("h3", {}, "Why"), element("ul", {}, causes)],
    result.why && element("pre", {}, result.why),
    documented && !(result.causes ?? []).some(({ source }) => source)
      && element("p", {}, "Documented: ", linked(documented)),
    expectation && element("p", {}, "Expected by ", element("code", {}, expectation.source), `: ${expectation.reason} `,
      expectation.link && linked(expectation.link)));
}

function tensorDetails(tensor) {
  const shape = `${tensor.dtype}, ${tensor.shape.length ? tensor.shape.join(" × ") : "scalar"}`;
  const heading = element("h3", {}, tensor.name, element("small", {}, ` ${shape}`));
  if (tensor.max_abs === undefined) return element("section", {}, heading, element("p", {}, "Not compared."));
  const [is, due] = differing(tensor.actual, tensor.expected);
  const ulp = typeof tensor.max_abs !== "number" || tensor.max_ulp === undefined ? "" : ` (${ratio(tensor.max_ulp)} ulp)`;
  return element("section", { className: "tensor" }, heading,
    element("p", {}, "Largest error ", element("b", {}, short(tensor.max_abs)), `${ulp}; at most `,
      element("b", { className: real(tensor.bound_ratio) > 1 && "beyond" }, `${ratio(tensor.bound_ratio)} × the bound`),
      tensor.at && `, at [${tensor.at.join(", ")}]: ${is}, should be ${due}`, "."),
    element("div", { className: "figures" }, tensor.worst && worst(tensor.worst, tensor.name),
      element("div", {}, tensor.channels && channels(tensor.channels, tensor.name),
        tensor.histogram && histogram(tensor.histogram, tensor.name))));
}

function worst(elements, of) {
  const headers = [{ text: "at" }, { text: "is", number: true }, { text: "should be", number: true }, { text: "× bound", number: true }];
  const rows = elements.map(({ at, actual, expected, bound_ratio }) =>
    [`[${at.join(", ")}]`, ...differing(actual, expected), ratio(bound_ratio)]);
  return table({ label: "Worst elements", of }, headers, rows);
}

function channels(found, of) {
  const logarithm = (value) => Math.log10(Math.min(Math.max(real(value) || 0, 1e-3), 1e12));
  const most = Math.max(1, ...found.map((channel) => logarithm(channel.bound_ratio)));
  const share = (value) => (logarithm(value) + 3) / (most + 3);
  const headers = [{ text: "channel" }, { text: "error", number: true }, { text: "× bound", number: true }, { text: "drawn" }];
  const rows = found.map(({ channel, max_abs, bound_ratio }) => [
    channel.join(", ") || "all", short(max_abs), ratio(bound_ratio), bar(share(bound_ratio), real(bound_ratio) > 1, share(1))]);
  const remark = "drawn on a log scale; the line is the bound";
  return table({ label: "Error by channel, the worst first", of, remark }, headers, rows);
}

function histogram({ edges: at, counts }, of) {
  const most = Math.max(1, ...counts);
  const headers = [{ text: "error, × bound" }, { text: "elements", number: true }, { text: "drawn" }];
  const rows = counts.map((count, bin) => {
    const [low, high] = [edges[at][bin], edges[at][bin + 1]].map((edge) => (edge === "inf" ? edge : Number(edge).toLocaleString("en")));
    const range = high === "inf" ? `over ${low}` : `${low} to ${high}`;
    return [range, count.toLocaleString("en"), bar(count && Math.max(count / most, 0.01), Number(edges[at][bin]) >= 1)];
  });
  return table({ label: "Errors over the bound", of }, headers, rows);
}

function reproduce(command) {
  const text = element("code", {}, command);
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(command);
      say("Copied");
    } catch {
      getSelection().selectAllChildren(text);
      say("Selected, to be copied");
    }
  };
  const said = element("span", { className: "copied", "aria-hidden": "true" });
  const say = (what) => { document.getElementById("said").textContent = said.textContent = what; };
  return element("section", {}, element("h3", {}, "Reproduce"),
    element("pre", {}, text), element("button", { type: "button", onclick: copy }, "Copy the command"), said);
}

function aboutCase(place, folded = true) {
  const { title, why, links, file, line, yaml } = cases[place];
  if (!file) return null;
  return element("section", {}, element("h3", {}, "The case"),
    element("p", {}, element("b", {}, title)), why && element("p", {}, why),
    links && element("ul", {}, links.map((said) => element("li", {}, reference(said)))),
    element("p", {}, element("code", {}, `${file}:${line}`)),
    element("details", { open: !folded }, element("summary", {}, "YAML"), element("pre", {}, element("code", {}, yaml))));
}

function caseDetails(place) {
  const groups = alike(place);
  const told = groups.map(({ state, did, results: found }) => element("section", { className: "group" },
    element("h4", {}, badge(state), did && ` ${did}`, element("small", {}, ` ${plural(found.length, "implementation")}`)),
    element("ul", { className: "runners" }, found.map((at) => element("li", {},
      element("a", { href: goTo(cases[place].id, columns[results[at].column]) }, columns[results[at].column]))))));
  const said = groups.length > 1 ? "Who did what" : groups.length ? "All did the same" : "Nobody ran it";
  return [
    navigation(),
    element("h2", { id: "opened-title", tabindex: "-1" }, cases[place].id),
    element("section", {}, element("h3", {}, said), told),
    aboutCase(place, false),
  ].filter(Boolean);
}
