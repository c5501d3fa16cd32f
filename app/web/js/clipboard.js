/** Copying, also where the page came over plain http and the browser therefore hides `navigator.clipboard`. */

/** @returns {Promise<boolean>} whether `text` is on the clipboard now. */
export async function copyText(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return copyBySelection(text);
  }
}

function copyBySelection(text) {
  const holder = document.createElement("textarea");
  const before = document.activeElement;
  holder.value = text;
  holder.className = "visually-hidden";
  document.body.append(holder);
  holder.select();
  const copied = document.execCommand("copy");
  holder.remove();
  before?.focus();
  return copied;
}
