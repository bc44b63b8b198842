// The address is read, and what it asks for is drawn.

let shown = [];
let drawn = null;

function update() {
  const parameters = read();
  shown = filtered(parameters);
  draw(shown);
  const found = results.filter((_, place) => shown[place]);
  const each = (key) => new Set(found.map((result) => result[key])).size;
  document.getElementById("count").textContent = found.length === results.length
    ? `All ${plural(results.length, "result")} are shown`
    : `${found.length.toLocaleString("en")} of ${plural(results.length, "result")} shown: `
      + `${plural(each("case"), "case")}, ${plural(each("column"), "implementation")}`;
  document.querySelector(".nothing").hidden = found.length > 0;
  fold.textContent = unfolded.size ? "Fold cells" : "Unfold cells";
}

function follow() {
  const parameters = read();
  const filters = JSON.stringify(["verdict", "cause", "runner", "text"].map((key) => parameters.get(key)));
  show(parameters);
  if (filters !== drawn) update();
  drawn = filters;
  open(parameters, shown);
}

document.getElementById("skip").addEventListener("click", () => current?.focus());
addEventListener("hashchange", follow);
follow();
