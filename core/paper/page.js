"use strict";

// The tables are rendered, and escaped, by the server; each event brings them anew.
const live = document.getElementById("live");
const link = document.getElementById("link");
const said = document.getElementById("said");

const events = new EventSource("/events?as=html");
events.addEventListener("live", (event) => {
  link.textContent = "live";
  link.className = "";
  if (document.hidden || live.contains(document.activeElement)) return;
  const scrolled = [...live.querySelectorAll(".scroll")].map((box) => [box.scrollLeft, box.scrollTop]);
  live.innerHTML = event.data;
  [...live.querySelectorAll(".scroll")].forEach((box, index) => {
    if (scrolled[index]) [box.scrollLeft, box.scrollTop] = scrolled[index];
  });
});
events.addEventListener("error", () => {
  link.textContent = "no connection to the exchange";
  link.className = "bad";
});

// Without this script the buttons work too: the form is posted, and the answer leads back to the page.
document.addEventListener("submit", async (event) => {
  event.preventDefault();
  const form = event.target;
  const filled = [...new FormData(form, event.submitter)].filter(([, value]) => value !== "");
  try {
    const response = await fetch(form.action, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(Object.fromEntries(filled)),
    });
    const answer = await response.json();
    said.textContent = response.ok ? `${form.dataset.name}: ${JSON.stringify(answer)}` : answer.error;
    said.className = response.ok ? "" : "bad";
  } catch (error) {
    said.textContent = `${form.dataset.name}: ${error.message}`;
    said.className = "bad";
  }
});
