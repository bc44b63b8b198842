// The matrix: a row for each case, a column for each implementation.

const grid = document.querySelector("#matrix table");
const MANY = 100; // cases, from which on the cells of a file begin folded

// The roles are said, because rows and cells are not laid out as those of a table.
const head = (scope, properties, ...children) =>
  element("th", { scope, role: scope === "col" ? "columnheader" : "rowheader", ...properties }, ...children);
const row = (...children) => element("tr", { role: "row" }, ...children);
const group = (name, ...children) => element(name, { role: "rowgroup" }, ...children);

function td() {
  const cell = document.createElement("td");
  cell.setAttribute("role", "gridcell");
  return cell;
}

let unfolded = new Set(); // files whose cells are listed
let current = null; // the cell that the arrow keys are at

function draw(shown) {
  const left = columns.map((_, column) => column).filter((column) =>
    results.some((result, place) => shown[place] && result.column === column));
  const bodies = subjects.map(({ subject, files }) => {
    const rows = files.flatMap((file) => fileRows(file, left, shown));
    if (!rows.length) return null;
    const about = head("rowgroup", { colspan: left.length + 1, className: "subject" }, element("span", {}, subject || "cases"));
    return group("tbody", row(about), rows);
  });
  const heads = left.map((column) => head("col", {}, element("span", { title: columns[column] }, columns[column])));
  const corner = head("col", { className: "corner" }, "Case");
  grid.style.setProperty("--columns", left.length);
  grid.replaceChildren(group("thead", row(corner, heads)), ...bodies.filter(Boolean));
  grid.hidden = !left.length;
  current = null;
  reach(grid.querySelector("tbody td") ?? grid.querySelector("tbody th.case"));
}

function fileRows({ name, cases: places }, left, shown) {
  const found = places.filter((place) => left.some((column) => isShown(place, column, shown)));
  if (!found.length) return [];
  if (places.length === 1) return [caseRow(found[0], baseName(name), left, shown)];
  const open = unfolded.has(name);
  const toggle = element("button", { type: "button", tabindex: "-1", "aria-expanded": String(open) }, baseName(name),
    element("small", {}, ` ${plural(found.length, "cell")}`));
  const header = head("row", { className: "case file" }, toggle);
  header.file = name;
  const cells = left.map((column) => (open ? td() : summary(found, column, shown)));
  const rows = [row(header, cells)];
  if (open) rows.push(...found.map((place) => caseRow(place, cases[place].id.slice(name.length), left, shown, true)));
  return rows;
}

const baseName = (name) => name.slice(name.indexOf("/") + 1);

function isShown(place, column, shown) {
  const at = placed[place * columns.length + column];
  return at >= 0 && shown[at];
}

function caseRow(place, text, left, shown, inFile = false) {
  const { id, title = "" } = cases[place];
  const header = head("row", { className: inFile ? "case inner" : "case", title: `${id}\n${title}` },
    element("span", {}, text), inFile ? null : element("small", {}, title));
  header.opens = { case: id };
  const cells = left.map((column) => {
    const cell = td();
    const at = placed[place * columns.length + column];
    if (at >= 0 && shown[at]) {
      const { state, did } = results[at];
      cell.className = state;
      cell.textContent = GLYPHS[state];
      cell.setAttribute("aria-label", did ? `${state}: ${did}` : state);
      cell.opens = { case: id, on: columns[column] };
    } else if (at >= 0) {
      cell.setAttribute("aria-label", "filtered out");
    }
    return cell;
  });
  return row(header, cells);
}

// Several cells of a file in one: the worst of them, and how many are so.
function summary(places, column, shown) {
  const found = places.filter((place) => isShown(place, column, shown))
    .map((place) => results[placed[place * columns.length + column]].state);
  if (!found.length) return td();
  const worst = WORST_FIRST.find((state) => found.includes(state));
  const count = found.filter((state) => state === worst).length;
  const cell = element("td", { role: "gridcell", className: worst, "aria-label": `${worst}: ${count} of ${plural(found.length, "cell")}` },
    GLYPHS[worst], count === found.length ? null : element("small", {}, count));
  cell.folded = true;
  return cell;
}

// One cell at a time can be reached by Tab; the arrow keys move it.
function reach(cell, focus = false) {
  current?.removeAttribute("tabindex");
  current = cell;
  if (!cell) return;
  cell.tabIndex = 0;
  if (!focus) return;
  cell.focus();
  point(cell);
}

// The name of the column that one looks at stands out.
function point(cell) {
  const [heads] = grid.rows;
  grid.querySelector(".here")?.classList.remove("here");
  if (cell.cellIndex > 0) heads.cells[cell.cellIndex].classList.add("here");
}

function activate(cell) {
  const { file } = cell.parentElement.firstElementChild;
  if (cell.opens) {
    reach(cell, true);
    location.hash = address({ case: cell.opens.case, on: cell.opens.on });
  } else if (file && (cell.file || cell.folded)) {
    if (!unfolded.delete(file)) unfolded.add(file);
    const { cellIndex } = cell;
    update();
    const header = [...grid.querySelectorAll("th.file")].find((each) => each.file === file);
    reach(header.parentElement.cells[cellIndex], true);
  }
}

const MOVES = {
  ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1], PageUp: [-12, 0], PageDown: [12, 0],
  Home: [0, -Infinity], End: [0, Infinity],
};

grid.addEventListener("keydown", (event) => {
  const cell = event.target.closest("td, th");
  if (!cell || event.altKey || event.metaKey) return;
  if (event.key === "Enter" || event.key === " ") {
    event.preventDefault();
    activate(cell);
  } else if (MOVES[event.key]) {
    event.preventDefault();
    const [down, right] = MOVES[event.key];
    const rows = [...grid.rows].filter((each) => each.querySelector(".case"));
    const within = (value, length) => Math.min(Math.max(value, 0), length - 1);
    const far = event.ctrlKey && !down ? (right < 0 ? -Infinity : Infinity) : down;
    const { cells } = rows[within(rows.indexOf(cell.parentElement) + far, rows.length)];
    reach(cells[within(cell.cellIndex + right, cells.length)], true);
  }
});

grid.addEventListener("click", (event) => {
  const cell = event.target.closest("td, th.case");
  if (cell) activate(cell);
});

grid.addEventListener("pointerover", (event) => {
  const cell = event.target.closest("td");
  if (cell) point(cell);
  if (cell?.opens && !cell.title) cell.title = `${cell.opens.case}\n${cell.opens.on}\n${cell.getAttribute("aria-label")}`;
});
