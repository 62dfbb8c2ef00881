"use strict";

// Keeps a page as the server would render it now. Everything here is a comfort: without it pages work by reloading.

const held = new Map();
let first = true;

function busy(element) {
  // What a person has open or is writing in is not taken away from under the hand.
  return element.querySelector("details[open]") !== null || element.contains(document.activeElement);
}

function setPart(id, html) {
  const element = document.getElementById(id);
  if (element === null) return;
  if (busy(element)) {
    held.set(id, html);
    return;
  }
  held.delete(id);
  const scrolled = [...element.querySelectorAll(".scroll")].map((inner) => [inner.scrollLeft, inner.scrollTop]);
  element.innerHTML = html;
  [...element.querySelectorAll(".scroll")].forEach((inner, index) => {
    if (scrolled[index] !== undefined) [inner.scrollLeft, inner.scrollTop] = scrolled[index];
  });
}

function setRows(rows) {
  const body = document.getElementById(rows.into);
  if (body === null) return;
  const kept = new Map([...body.children].map((row) => [row.id, row]));
  const wanted = [];
  for (const id of rows.order) {
    let row = kept.get(id);
    if (rows.html[id] !== undefined && (row === undefined || row.outerHTML !== rows.html[id])) {
      const template = document.createElement("template");
      template.innerHTML = rows.html[id];
      const fresh = template.content.firstElementChild;
      if (!first) fresh.classList.add("changed");
      row = fresh;
    }
    if (row !== undefined) wanted.push(row);
  }
  // Rows are not taken out and put back where nothing changed: a click that is under way, and the focus, would be lost.
  const there = [...body.children];
  if (wanted.length !== there.length || wanted.some((row, index) => row !== there[index])) body.replaceChildren(...wanted);
}

function tellAges() {
  for (const element of document.querySelectorAll("[data-since]")) {
    const seconds = Math.max(0, Math.round((Date.now() - Date.parse(element.dataset.since)) / 1000));
    element.textContent = (seconds < 120 ? `${seconds} s` : `${Math.round(seconds / 60)} min`) + (element.dataset.suffix ?? "");
  }
}

function goLive() {
  const sign = document.getElementById("live");
  sign.hidden = false;
  sign.textContent = "connecting";
  const source = new EventSource("/live?page=" + encodeURIComponent(location.pathname + location.search));
  source.onopen = () => {
    sign.textContent = "live";
    sign.className = "live on";
  };
  source.onerror = () => {
    sign.textContent = source.readyState === EventSource.CLOSED ? "not live: reload" : "reconnecting";
    sign.className = "live off";
  };
  source.onmessage = (event) => {
    const patch = JSON.parse(event.data);
    for (const [id, html] of Object.entries(patch.set ?? {})) setPart(id, html);
    if (patch.rows !== undefined) setRows(patch.rows);
    first = false;
    tellAges();
  };
  // A page kept for the back button would hold its stream open.
  addEventListener("pagehide", () => source.close());
  addEventListener("pageshow", (event) => {
    if (event.persisted) location.reload();
  });
  setInterval(() => {
    for (const [id, html] of [...held]) setPart(id, html);
  }, 500);
}

function orderForm(form) {
  const needed = { LIMIT: ["price"], MARKET: [], SL: ["price", "trigger_price"], "SL-M": ["trigger_price"] };
  const kind = form.elements.namedItem("order_type");
  const fit = () => {
    for (const name of ["price", "trigger_price"]) {
      const wanted = (needed[kind.value] ?? []).includes(name);
      form.elements.namedItem(name).disabled = !wanted;
      form.querySelector(`[data-field="${name}"]`).classList.toggle("off", !wanted);
    }
  };
  kind.addEventListener("change", fit);
  fit();

  const symbol = form.elements.namedItem("symbol");
  const exchange = form.elements.namedItem("exchange");
  const found = document.getElementById("found");
  const note = document.getElementById("found-note");
  let waiting = 0;
  const search = async () => {
    const asked = symbol.value.trim();
    if (asked.length < 2) return;
    const query = new URLSearchParams({ exchange: exchange.value, q: asked });
    const reply = await fetch(`/instruments?${query}`);
    if (!reply.ok || symbol.value.trim() !== asked) return;
    const answer = await reply.json();
    found.replaceChildren(
      ...answer.instruments.map((one) => {
        const option = document.createElement("option");
        option.value = one.symbol;
        option.label = [one.name, one.lot_size ? `lot ${one.lot_size}` : "", one.tick_size ? `tick ${one.tick_size}` : ""]
          .filter(Boolean)
          .join(" · ");
        return option;
      }),
    );
    note.textContent = answer.problem ?? (answer.instruments.length === 0 ? `${exchange.value} has no symbol with ${asked}` : "");
  };
  symbol.addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = setTimeout(search, 250);
  });
  form.addEventListener("submit", () => {
    for (const button of form.querySelectorAll("button")) button.disabled = true;
  });
}

if (document.body.dataset.live !== undefined) goLive();
const form = document.getElementById("order-form");
if (form !== null) orderForm(form);
tellAges();
setInterval(tellAges, 1000);
