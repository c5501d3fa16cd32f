/* Not a module: it runs before the first paint, so that a chosen theme never flashes the other one. */
(function () {
  try {
    const theme = localStorage.getItem("electra.theme");
    if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
  } catch {
    /* Storage may be forbidden; the system's own theme is a fine answer. */
  }
})();
