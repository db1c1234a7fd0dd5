import "htmx.org/dist/htmx.esm.js";

import { copyFrom } from "./copy.js";
import { closeDrawer, openDrawer } from "./drawer.js";
import { mayPoll, trimRows } from "./live.js";
import { chooseTheme, markTheme } from "./theme.js";
import "./time-chart.js";

document.addEventListener("click", (event) => {
  const theme = event.target.closest("[data-theme-choice]")?.dataset.themeChoice;
  if (theme) chooseTheme(theme);
  const source = event.target.closest("[data-copy]");
  if (source) copyFrom(source);
  if (event.target.closest("dialog [data-close-drawer]")) {
    event.preventDefault();
    closeDrawer();
  }
  for (const menu of document.querySelectorAll("details.menu[open]")) {
    if (!menu.contains(event.target)) menu.open = false;
  }
});

document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  for (const menu of document.querySelectorAll("details.menu[open]")) {
    menu.open = false;
    menu.querySelector("summary").focus();
  }
});

document.addEventListener("htmx:before:request", (event) => {
  if (event.detail.ctx.sourceElement.id === "cursor" && !mayPoll()) event.preventDefault();
});

document.addEventListener("htmx:after:swap", (event) => {
  if (event.detail.ctx.target?.id === "drawer") openDrawer();
  trimRows();
  markTheme();
  showPlace();
});

markTheme();
showPlace();

// A page that answers a form, and shows a secret once, is not to be asked for again by a reload or a way back.
const once = document.querySelector("[data-address]");
if (once) history.replaceState(null, "", once.dataset.address);

/** Bring the name of the page into sight where the navigation is wider than the window. */
function showPlace() {
  const pages = document.querySelector(".pages");
  const place = pages?.querySelector("[aria-current]");
  if (place) pages.scrollLeft = place.offsetLeft - (pages.clientWidth - place.offsetWidth) / 2;
}
