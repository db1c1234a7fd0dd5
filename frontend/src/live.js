const MAX_ROWS = 200;

/** Whether the log may ask for newer rows: not while it is hidden, scrolled away from its head, or under the drawer. */
export function mayPoll() {
  const scroller = document.querySelector(".log .scroll");
  const atHead = window.scrollY < 40 && (scroller?.scrollTop ?? 0) < 40;
  const polling = !document.hidden && atHead && !document.querySelector("dialog[open]");
  const state = document.getElementById("live");
  const text = polling ? "Live" : "Paused";
  if (state && state.textContent !== text) {
    state.textContent = text;
    state.classList.toggle("paused", !polling);
  }
  return polling;
}

/** Keep the log short, however long it is watched. */
export function trimRows() {
  const rows = document.querySelectorAll("#log > tr:not([hidden])");
  for (const row of [...rows].slice(MAX_ROWS)) row.remove();
  if (rows.length) document.getElementById("waiting")?.remove();
}
