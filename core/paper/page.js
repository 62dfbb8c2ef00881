"use strict";

// The tables are rendered, and escaped, by the server; each event brings them anew.
const live = document.getElementById("live");
const link = document.getElementById("link");
const said = document.getElementById("said");

const events = new EventSource("/events?as=html");
events.addEventListener("live", (event) => {
  link.textContent = "live";
  link.className = "";
  if (document.hidden) return;
  const focus = live.contains(document.activeElement) ? document.activeElement.id : "";
  const scrolled = [...live.querySelectorAll(".scroll")].map((box) => [box.scrollLeft, box.scrollTop]);
  live.innerHTML = event.data;
  [...live.querySelectorAll(".scroll")].forEach((box, index) => {
    if (scrolled[index]) [box.scrollLeft, box.scrollTop] = scrolled[index];
  });
  if (focus) document.getElementById(focus)?.focus({ preventScroll: true });
});
events.addEventListener("error", () => {
  link.textContent = "no connection to the exchange";
  link.className = "bad";
});

// Without this script the buttons work too: the form is posted, and the answer leads back to the page.
document.addEventListener("submit", async (event) => {
  event.preventDefault();
  const form = event.target;
  const typed = new URLSearchParams(new FormData(form, event.submitter));
  try {
    const headers = { Accept: "application/json" };
    const response = await fetch(form.action, { method: "POST", headers, body: typed });
    const answer = await response.json();
    said.textContent = response.ok ? `${form.dataset.name}: ${JSON.stringify(answer)}` : answer.error;
    said.className = response.ok ? "" : "bad";
  } catch (error) {
    said.textContent = `${form.dataset.name}: ${error.message}`;
    said.className = "bad";
  }
});
