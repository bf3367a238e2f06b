// The review page: rows come from api/next, decisions go to api/decide one after the other. Texts from the catalog are
// only ever set as text, never as markup.
"use strict";

const AHEAD = 8; // rows that are fetched before they are needed
const GRID = 40;
const $ = (id) => document.getElementById(id);
const FILTERS = ["category", "status", "decision", "suspect"];

let rows = []; // the first one is shown
let grid = []; // rows of the grid
let labels = [];
let mode = "one";
let fetching = null;
let filling = 0; // raised by another filter: older answers are dropped
let sent = Promise.resolve(); // decisions are stored in the order in which they were made

function say(text, bad = false) {
  $("message").textContent = text;
  $("message").className = bad ? "bad" : "";
}

async function ask(path, body) {
  const options = body === undefined ? {} : { method: "POST", body: JSON.stringify(body), headers: { "Content-Type": "application/json" } };
  const answer = await fetch(path, options);
  const tree = await answer.json().catch(() => ({ error: "The review has ended: start it again" }));
  if (!answer.ok) throw new Error(tree.error || String(answer.status));
  if (tree.progress) showProgress(tree.progress);
  return tree;
}

function showProgress(progress) {
  $("progress").textContent = `${progress.decided} of ${progress.rows} decided, ${progress.mine} by you`;
  $("bar").max = Math.max(progress.rows, 1);
  $("bar").value = progress.decided;
}

function filters() {
  const asked = new URLSearchParams();
  for (const name of [...FILTERS, "text"]) if ($(name).value) asked.set(name, $(name).value);
  return asked;
}

function fill() {
  if (fetching || rows.length >= AHEAD / 2) return fetching || Promise.resolve();
  const asked = filters(), turn = filling;
  asked.set("count", AHEAD);
  asked.set("but", rows.map((row) => row.index).join(","));
  fetching = ask(`api/next?${asked}`)
    .then((tree) => {
      if (turn !== filling) return;
      const there = new Set(rows.map((row) => row.index));
      rows.push(...tree.rows.filter((row) => !there.has(row.index)));
    })
    .catch((error) => say(error.message, true))
    .finally(() => { fetching = null; });
  return fetching;
}

async function advance() {
  if (!rows.length) { await sent; await fill(); }
  show();
  // What was decided is stored first, or the answer would bring it again.
  sent.then(fill).then(() => { if (rows[1]) new Image().src = photo(rows[1], 640); });
}

const photo = (row, size) => `photo/${row.index}?size=${size}`;

function element(name, text, parent) {
  const made = document.createElement(name);
  if (text !== undefined) made.textContent = text;
  if (parent) parent.append(made);
  return made;
}

function show() {
  const row = rows[0];
  $("one").classList.toggle("empty", !row);
  for (const id of ["picture", "product", "choices", "similar"]) $(id).hidden = !row;
  if (!row) { say("Nothing waits with these filters."); return; }
  $("photo").hidden = !row.has_photo;
  $("nophoto").hidden = row.has_photo;
  if (row.has_photo) { $("photo").src = photo(row, 640); $("photo").alt = row.title ? `photo of ${row.title.slice(0, 120)}` : `photo of product ${row.product_id}`; }
  $("title").textContent = row.title || "(no title)";
  $("ids").textContent = `${row.product_id} · published as ${row.category || "nothing"} · decision: ${row.decision} · status: ${row.status}`;
  why(row);
  $("description").textContent = row.description || "(no description)";
  $("description").scrollTop = 0;
  $("top").replaceChildren();
  row.top.forEach((choice, place) => {
    const button = element("button", undefined, element("li", undefined, $("top")));
    button.type = "button";
    button.className = place === 0 ? "best" : "";
    element("kbd", place + 1, button);
    element("span", choice.category, button);
    element("span", choice.confidence < 0.005 ? "<1 %" : `${Math.round(100 * choice.confidence)} %`, button);
    button.addEventListener("click", () => decide(choice.category));
  });
  $("other").value = "";
  found();
  $("alike").replaceChildren();
  $("told").textContent = "";
  showSimilar(row, 200); // whoever decides faster than this does not look at them
}

function showSimilar(row, wait) {
  setTimeout(async () => {
    if (rows[0] !== row || mode !== "one") return;
    const tree = await ask(`api/similar/${row.index}`).catch((error) => ({ told: error.message, products: [] }));
    if (rows[0] !== row) return;
    $("told").textContent = tree.told;
    $("alike").replaceChildren(...tree.products.map((product) => similar(product, row)));
    if (tree.reading) showSimilar(row, 500);
  }, wait);
}

function similar(product, row) {
  const item = element("li");
  smallPhoto(product.has_photo && `similar/${product.index}?size=160`, item);
  element("b", product.category || "no category", item).className = product.category === row.category ? "" : "other";
  element("span", product.title || product.product_id, item).dir = "auto";
  return item;
}

function smallPhoto(source, parent) {
  if (!source) { element("i", "no photo", parent); return; }
  const image = element("img", undefined, parent);
  image.loading = "lazy";
  image.alt = "";
  image.addEventListener("error", () => image.replaceWith(element("i", "no photo")));
  image.src = source;
}

function why(row) {
  $("why").replaceChildren();
  if (row.suspect) {
    element("b", "Photo and text disagree: ", $("why"));
    element("span", `the photo alone looks like ${row.image_alone}, the text alone says ${row.text_alone}. Suspect: the ${row.suspect}. `, $("why"));
  }
  const parts = [];
  if (row.alike > 1) parts.push(`${row.alike} rows alike wait`);
  if (row.neighbours_disagree > 0.5) parts.push("near products have another category");
  if (row.fell) parts.push(`${Math.round(100 * row.fell)} points less sure than the model before`);
  element("span", parts.join(" · "), $("why"));
}

function store(choices) {
  sent = sent.then(() => ask("api/decide", choices)).catch((error) => say(error.message, true));
}

function decide(category) {
  const row = rows.shift();
  if (!row || !category) { if (row) rows.unshift(row); return; }
  store([{ product_id: row.product_id, category }]);
  say(`${row.product_id.slice(0, 60)}: ${category}`);
  $("one").focus();
  advance();
}

function accept() {
  const row = rows[0];
  if (row) decide(row.category && labels.includes(row.category) ? row.category : row.top[0] && row.top[0].category);
}

function skip() {
  const row = rows.shift();
  if (!row) return;
  sent = sent.then(() => ask("api/skip", { index: row.index })).catch((error) => say(error.message, true));
  say(`${row.product_id.slice(0, 60)}: skipped`);
  advance();
}

function undo() {
  sent = sent.then(() => ask("api/undo", null)).then((tree) => {
    const back = tree.rows || [];
    rows.unshift(...back);
    say(back.length ? `taken back: ${back.map((row) => row.product_id.slice(0, 60)).slice(0, 3).join(", ")}` : "nothing to take back");
    if (mode === "one") show(); else fillGrid();
  }).catch((error) => say(error.message, true));
}

function matches(text) {
  const wanted = text.trim().toLowerCase();
  if (!wanted) return [];
  const starts = labels.filter((label) => label.toLowerCase().startsWith(wanted));
  return [...starts, ...labels.filter((label) => !starts.includes(label) && label.toLowerCase().includes(wanted))].slice(0, 8);
}

function found() {
  $("found").replaceChildren();
  for (const label of matches($("other").value)) {
    const button = element("button", label, element("li", undefined, $("found")));
    button.type = "button";
    button.addEventListener("click", () => decide(label));
  }
}

async function fillGrid() {
  if (!$("category").value) $("category").value = (rows[0] && rows[0].category) || $("category").options[1]?.value || "";
  const asked = filters();
  asked.set("count", GRID);
  await sent;
  try { grid = (await ask(`api/next?${asked}`)).rows; } catch (error) { say(error.message, true); return; }
  $("manytitle").textContent = grid.length ? `Are these ${grid.length} all ${$("category").value}?` : "Nothing waits with these filters.";
  $("confirm").hidden = !grid.length;
  $("grid").replaceChildren();
  for (const row of grid) {
    const button = element("button", undefined, $("grid"));
    button.type = "button";
    button.setAttribute("aria-pressed", "false");
    smallPhoto(row.has_photo && photo(row, 160), button);
    const title = element("b", row.title || row.product_id, button);
    title.dir = "auto";
    button.addEventListener("click", () => button.setAttribute("aria-pressed", button.getAttribute("aria-pressed") !== "true"));
  }
  $("grid").firstElementChild?.focus();
}

function confirmGrid() {
  const tiles = [...$("grid").children], category = $("category").value;
  const right = grid.filter((_, place) => tiles[place].getAttribute("aria-pressed") !== "true");
  const wrong = grid.filter((row) => !right.includes(row));
  if (!grid.length) return;
  if (right.length) store(right.map((row) => ({ product_id: row.product_id, category })));
  for (const row of wrong) sent = sent.then(() => ask("api/skip", { index: row.index })).catch((error) => say(error.message, true));
  rows = [...wrong, ...rows.filter((row) => !grid.includes(row) && !right.some((one) => one.index === row.index))];
  say(`${right.length} confirmed, ${wrong.length} picked out: they come first in the single view`);
  fillGrid();
}

function setMode(other) {
  mode = other;
  $("one").hidden = mode !== "one";
  $("many").hidden = mode !== "many";
  $("mode").firstChild.textContent = mode === "one" ? "Grid " : "One by one ";
  if (mode === "many") fillGrid(); else { $("one").focus(); advance(); }
}

function move(step) {
  const tiles = [...$("grid").children], now = tiles.indexOf(document.activeElement);
  tiles[Math.min(Math.max(now + step, 0), tiles.length - 1)]?.focus();
}

function columns() {
  return getComputedStyle($("grid")).gridTemplateColumns.split(" ").length;
}

const KEYS = { x: skip, u: undo, g: () => setMode(mode === "one" ? "many" : "one"), "/": () => $("other").focus() };
const GRID_KEYS = { c: confirmGrid, u: undo, g: KEYS.g, ArrowLeft: () => move(-1), ArrowRight: () => move(1),
  ArrowUp: () => move(-columns()), ArrowDown: () => move(columns()) };

function pressed(event) {
  if (event.ctrlKey || event.altKey || event.metaKey || event.isComposing) return;
  const at = event.target;
  if (event.key === "Escape") { $(mode).focus(); return; }
  if (at.matches("input, select")) return;
  let act = mode === "many" ? GRID_KEYS[event.key] : KEYS[event.key];
  if (mode === "one" && /^[1-5]$/.test(event.key)) act = () => rows[0]?.top[event.key - 1] && decide(rows[0].top[event.key - 1].category);
  // On a button or a link, space does what it does everywhere.
  if (mode === "one" && event.key === " " && !at.matches("button, a, progress")) act = accept;
  if (act) { event.preventDefault(); act(); }
}

function options(select, values, all) {
  element("option", all, select).value = "";
  for (const value of values) element("option", value, select).value = value;
}

async function start() {
  const tree = await ask("api/queue");
  labels = tree.labels;
  for (const name of FILTERS) options($(name), tree.filters[name], "any");
  document.addEventListener("keydown", pressed);
  $("accept").addEventListener("click", accept);
  $("skip").addEventListener("click", skip);
  $("undo").addEventListener("click", undo);
  $("mode").addEventListener("click", KEYS.g);
  $("confirm").addEventListener("click", confirmGrid);
  $("photo").addEventListener("error", () => { $("photo").hidden = true; $("nophoto").hidden = false; });
  $("other").addEventListener("input", found);
  $("search").addEventListener("submit", (event) => { event.preventDefault(); const best = matches($("other").value)[0]; if (best) decide(best); });
  $("filters").addEventListener("submit", (event) => event.preventDefault());
  const again = () => { filling += 1; fetching = null; rows = []; if (mode === "one") advance(); else fillGrid(); };
  for (const name of FILTERS) $(name).addEventListener("change", again);
  let waiting = 0;
  $("text").addEventListener("input", () => { clearTimeout(waiting); waiting = setTimeout(again, 250); });
  $("one").focus();
  await advance();
}

start().catch((error) => say(error.message, true));
