/** Copy the field that a button names, and say so on the button; where the clipboard is out of reach, select the text. */
export async function copyFrom(button) {
  const field = document.getElementById(button.dataset.copy);
  field.focus();
  field.select();
  try {
    await navigator.clipboard.writeText(field.value);
    button.textContent = "Copied";
  } catch {
    button.textContent = "Press Ctrl+C";
  }
}
