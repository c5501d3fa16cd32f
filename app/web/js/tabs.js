/** The tabs pattern of the ARIA Authoring Practices: arrows move, Home and End jump, one tab stop. */

/**
 * @param {HTMLElement} list element with role=tablist; each tab names its panel in aria-controls.
 * @param {(name: string) => void} onChange called with the tab's `data-tab` after the person changed it.
 * @returns {{select: (name: string) => boolean, current: () => string}} `select` is false for an unknown name.
 */
export function createTabs(list, onChange) {
  const tabs = [...list.querySelectorAll('[role="tab"]')];

  function show(chosen) {
    for (const tab of tabs) {
      const selected = tab === chosen;
      tab.setAttribute("aria-selected", String(selected));
      tab.tabIndex = selected ? 0 : -1;
      document.getElementById(tab.getAttribute("aria-controls")).hidden = !selected;
    }
  }

  const current = () => tabs.find((tab) => tab.getAttribute("aria-selected") === "true").dataset.tab;

  function choose(tab) {
    const before = current();
    show(tab);
    if (tab.dataset.tab !== before) onChange(tab.dataset.tab);
  }

  list.addEventListener("click", (event) => {
    const tab = event.target.closest('[role="tab"]');
    if (tab) choose(tab);
  });
  list.addEventListener("keydown", (event) => {
    const at = tabs.indexOf(document.activeElement);
    const moves = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: tabs.length - 1 };
    if (at < 0 || !(event.key in moves)) return;
    event.preventDefault();
    const next = tabs[(moves[event.key] + tabs.length) % tabs.length];
    next.focus();
    choose(next);
  });

  return {
    current,
    select(name) {
      const tab = tabs.find((candidate) => candidate.dataset.tab === name);
      if (tab) show(tab);
      return tab !== undefined;
    },
  };
}
