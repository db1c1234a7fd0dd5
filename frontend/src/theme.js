import { redrawCharts } from "./time-chart.js";

const root = document.documentElement;
const YEAR = 365 * 24 * 3600;

/** Take a theme ("system", "light" or "dark") and remember it in a cookie, so that the server sends the next page in it. */
export function chooseTheme(theme) {
  root.dataset.theme = theme;
  const secure = location.protocol === "https:" ? "; Secure" : "";
  document.cookie = `tollkeeper_theme=${theme}; path=${root.dataset.root || "/"}; max-age=${YEAR}; SameSite=Lax${secure}`;
  markTheme();
  redrawCharts();
}

/** Mark the button of the theme in force. */
export function markTheme() {
  for (const button of document.querySelectorAll("[data-theme-choice]")) {
    button.setAttribute("aria-pressed", String(button.dataset.themeChoice === (root.dataset.theme || "system")));
  }
}

matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redrawCharts);
