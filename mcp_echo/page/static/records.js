// The records of a trace, in the order in which they came; those that the server lets go of, go here too.

const MOST_OTHERS = 2000;

export class Records {
  constructor() {
    this.exchanges = [];
    this.byNumber = new Map();
    this.streams = [];
    this.sent = [];
    this.sessions = [];
    this.nodes = [];
    this.probes = [];
    this.last = 0;
    /** When the first exchange came that was ever seen here; seconds. */
    this.begun = null;
    this.addresses = new Map();
  }

  /** Take records as they come: each with its kind. What is there already is left out. */
  add(records) {
    for (const { kind, record } of records) {
      if (record.number <= this.last) continue;
      this.last = record.number;
      if (kind === "exchange") this.addExchange(record);
      else
        this.addOther(
          {
            stream: this.streams,
            sent: this.sent,
            session: this.sessions,
            node: this.nodes,
            probe: this.probes,
          }[kind],
          record,
        );
    }
  }

  addExchange(record) {
    this.begun ??= record.at;
    this.exchanges.push(record);
    this.byNumber.set(record.number, record);
    this.pseudonym(record.address || record.peer);
  }

  addOther(list, record) {
    list.push(record);
    if (list.length > MOST_OTHERS) list.shift();
  }

  /** Return the methods and the tools that were asked for: `{methods, tools}`. */
  named() {
    const messages = this.exchanges.flatMap((exchange) => exchange.messages ?? []);
    const requests = messages.filter(({ kind, method }) => kind !== "response" && method);
    const calls = requests.filter(({ method, name }) => method === "tools/call" && name);
    const sorted = (values) => [...new Set(values)].sort();
    return {
      methods: sorted(requests.map(({ method }) => method)),
      tools: sorted(calls.map(({ name }) => name)),
    };
  }

  /** Let go of what is older than the oldest record that the server has. */
  dropBefore(oldest) {
    const kept = this.exchanges.findIndex(({ number }) => number >= oldest);
    const gone = this.exchanges.splice(0, kept < 0 ? this.exchanges.length : kept);
    gone.forEach(({ number }) => this.byNumber.delete(number));
    for (const name of ["streams", "sent", "sessions", "nodes", "probes"])
      this[name] = this[name].filter(({ number }) => number >= oldest);
    return gone.length;
  }

  /** Return `a1`, `a2` … for addresses, in order of appearance, as evidence does: pages are shown around. */
  pseudonym(address) {
    if (!address || address === "unix") return address || "?";
    if (!this.addresses.has(address)) this.addresses.set(address, `a${this.addresses.size + 1}`);
    return this.addresses.get(address);
  }
}
