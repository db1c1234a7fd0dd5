import "htmx.org/dist/htmx.esm.js";

import { closeDrawer, openDrawer } from "./drawer.js";
import { mayPoll, trimRows } from "./live.js";
import { chooseTheme, markTheme } from "./theme.js";
import "./time-chart.js";

document.addEventListener("click", (event) => {
  const theme = event.target.closest("[data-theme-choice]")?.dataset.themeChoice;
  if (theme) chooseTheme(theme);
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
});

markTheme();
