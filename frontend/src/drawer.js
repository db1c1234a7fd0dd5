/** Show the detail that htmx has put into the drawer, as a modal dialog: Escape closes it and focus returns. */
export function openDrawer() {
  const drawer = document.getElementById("drawer");
  if (drawer.open) return;
  drawer.showModal();
  drawer.addEventListener("click", closeOnBackdrop);
  drawer.addEventListener("close", () => drawer.replaceChildren(), { once: true });
}

export function closeDrawer() {
  document.getElementById("drawer")?.close();
}

function closeOnBackdrop(event) {
  if (event.target === event.currentTarget) closeDrawer();
}
