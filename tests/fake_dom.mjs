// As much of a browser's document as the widgets use, for tests under node: elements with children, values, handlers.
export class Element {
  constructor(tag) {
    Object.assign(this, { tag, children: [], attributes: {}, className: "", value: "", disabled: false, rows: 0, size: 0,
      type: "", placeholder: "", spellcheck: true, onclick: null, onchange: null, oninput: null, onkeydown: null });
    this.classes = new Set();
    this.classList = { add: (name) => this.classes.add(name) };
  }
  setAttribute(name, value) { this.attributes[name] = String(value); }
  getAttribute(name) { return this.attributes[name] ?? null; }
  append(...children) { this.children.push(...children); }
  replaceChildren(...children) { this.children = children; }
  set textContent(text) { this.children = [text]; }
  get textContent() { return this.children.map((c) => (c instanceof Element ? c.textContent : String(c))).join(" "); }
  click() { if (!this.disabled && this.onclick) this.onclick(); }
  *all() { yield this; for (const child of this.children) if (child instanceof Element) yield* child.all(); }
  find(test) { return [...this.all()].find(test); }
  labelled(label) { return this.find((n) => n.attributes["aria-label"] === label); }
  button(text) { return this.find((n) => n.tag === "button" && n.textContent.includes(text)); }
}
globalThis.document = { createElement: (tag) => new Element(tag) };

export class Model {
  constructor(state, answer) { Object.assign(this, { state, answer, sent: [], listeners: [] }); }
  get() { return JSON.stringify(this.state); }
  on(name, listener) { this.listeners.push(listener); }
  off(name, listener) { this.listeners = this.listeners.filter((other) => other !== listener); }
  send(message) {
    this.sent.push(message);
    for (const listener of this.listeners) listener({ id: message.id, ...this.answer(message) });
  }
}
