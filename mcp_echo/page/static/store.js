// What the page knows, and who is told when it changes: once a frame, whatever has come meanwhile.

export class Store {
  /** @param {object} state - What it begins with. */
  constructor(state) {
    this.state = state;
    this.listeners = new Set();
    this.changed = new Set();
    this.waiting = false;
  }

  /** Have something told of changes: it gets the state, and the set of the names that have changed. */
  subscribe(listener) {
    this.listeners.add(listener);
  }

  /** Change some of it. */
  set(patch) {
    Object.assign(this.state, patch);
    this.touch(...Object.keys(patch));
  }

  /** Say that something has changed in place. */
  touch(...names) {
    names.forEach((name) => this.changed.add(name));
    if (this.waiting) return;
    this.waiting = true;
    // A page that nobody looks at gets no frames, and catches up when somebody does.
    requestAnimationFrame(() => {
      this.waiting = false;
      const { changed } = this;
      this.changed = new Set();
      this.listeners.forEach((listener) => listener(this.state, changed));
    });
  }
}
