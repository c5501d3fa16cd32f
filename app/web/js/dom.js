/**
 * Building elements. Strings become text nodes and nothing else, so no text, whoever wrote it, is ever read as markup.
 */

/**
 * Make an element.
 *
 * @param {string} tag
 * @param {object} properties `class`, `data` (dataset), `on` (event listeners), `style` (CSS custom properties),
 *   `aria-*`/`role` and other names are set as attributes; `false`, `null` and `undefined` are left out.
 * @param {...(Node|string|number|null|undefined|false|Array)} children strings and numbers become text nodes.
 */
export function element(tag, properties = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === false || value === null || value === undefined) continue;
    if (name === "class") node.className = value;
    else if (name === "data") Object.assign(node.dataset, value);
    else if (name === "on") for (const [type, listener] of Object.entries(value)) node.addEventListener(type, listener);
    else if (name === "style") for (const [key, entry] of Object.entries(value)) node.style.setProperty(key, entry);
    else node.setAttribute(name, value === true ? "" : String(value));
  }
  node.append(...flatten(children));
  return node;
}

/** Replace what `parent` holds. */
export function fill(parent, ...children) {
  parent.replaceChildren(...flatten(children));
}

/** The one element that `selector` names; a missing one is a mistake in the page and says so. */
export function find(root, selector) {
  const node = root.querySelector(selector);
  if (!node) throw new Error(`the page has no ${selector}`);
  return node;
}

function flatten(children) {
  return children
    .flat(Infinity)
    .filter((child) => child !== null && child !== undefined && child !== false)
    .map((child) => (child instanceof Node ? child : document.createTextNode(String(child))));
}
