/** Small preferences that survive a reload where the browser allows it, and quietly do not where it forbids it. */

function open(kind) {
  try {
    return kind === "session" ? window.sessionStorage : window.localStorage;
  } catch {
    return null;
  }
}

/** A kept value, or null. `kind` is "local" (for good) or "session" (until the tab closes). */
export function recall(key, kind = "local") {
  try {
    return open(kind)?.getItem(`electra.${key}`) ?? null;
  } catch {
    return null;
  }
}

/** Keep a value; null forgets it. */
export function remember(key, value, kind = "local") {
  try {
    if (value === null) open(kind)?.removeItem(`electra.${key}`);
    else open(kind)?.setItem(`electra.${key}`, value);
  } catch {
    /* Full or forbidden: the page works the same, it only forgets. */
  }
}
