// Draws an explorer. Every text from outside goes through textContent, attributes that are not markup, or `value`.

const SVG = "http://www.w3.org/2000/svg";
const WAIT_MS = 250;
const TITLES = { started_at: "began (UTC)", n_feedback: "feedback", feedback_names: "said of it" };

/** An element; properties that begin with `on` are listeners, children are elements or plain texts. */
function el(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (name === "value" || name === "checked" || name === "disabled") made[name] = value;
    else if (value !== null) made.setAttribute(name, value);
  }
  made.append(...children.filter((child) => child !== null));
  return made;
}

function svg(tag, attributes = {}, title = "") {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  if (title) made.append(Object.assign(document.createElementNS(SVG, "title"), { textContent: title }));
  return made;
}

const count = (n) => n.toLocaleString("en-US");
const percent = (share) => `${Math.round(share * 100)} %`;
const told = (row) => (row.n ? `${percent(row.rate)} (${percent(row.low)} to ${percent(row.high)}), n = ${count(row.n)}` : "not enough data");
const named = (value) => (value === null ? "no value" : value === "" ? "(empty)" : String(value));
const state = (outcome) => (outcome === null || outcome === undefined ? "pending" : outcome ? "good" : "bad");

function shown(value, column) {
  if (column === "outcome") return state(value);
  if (value === null || value === undefined) return "–";
  if (Array.isArray(value)) return value.join(", ");
  return typeof value === "number" && !Number.isInteger(value) ? value.toFixed(3) : String(value);
}

/** Requests with numbers, each answered once; the latest look wins. */
function requests(model) {
  const waiting = new Map();
  let last = 0;
  const own = Math.random().toString(36).slice(2);
  const hear = (message) => {
    const done = waiting.get(message.request);
    waiting.delete(message.request);
    if (done) done(message);
  };
  model.on("msg:custom", hear);
  return {
    ask: (message) =>
      new Promise((resolve) => {
        const request = `${own}:${++last}`;
        waiting.set(request, resolve);
        model.send({ ...message, request });
      }),
    end: () => model.off("msg:custom", hear),
  };
}

class View {
  constructor(model, root) {
    this.model = model;
    this.offers = model.get("offers");
    this.requests = requests(model);
    this.page = 0;
    this.sort = "started_at";
    this.descending = true;
    this.at = 0;
    this.looks = 0;
    this.filters = structuredClone(model.get("filters"));
    this.build(root);
    this.heard = {
      "change:filters": () => this.fromOutside(),
      "change:group_by": () => this.fromOutside(),
      "change:selected_ids": () => this.mark(),
    };
    for (const [name, listener] of Object.entries(this.heard)) model.on(name, listener);
    this.hideStill();
    this.look();
  }

  end() {
    for (const [name, listener] of Object.entries(this.heard)) this.model.off(name, listener);
    this.requests.end();
    clearTimeout(this.timer);
    this.style?.remove();
  }

  /** The still picture beside it is for readers without a kernel. */
  hideStill() {
    this.style = el("style");
    this.style.textContent = `.${CSS.escape(this.offers.still)} { display: none }`;
    document.head.append(this.style);
  }

  build(root) {
    this.status = el("p", { class: "clw-status", role: "status", "aria-live": "polite", "data-testid": "clw-status" });
    this.error = el("p", { class: "clw-error", role: "alert", "data-testid": "clw-error", hidden: "" });
    this.bars = el("div", { class: "clw-bars", "data-testid": "clw-bars" });
    this.time = el("div", { class: "clw-time", "data-testid": "clw-time" });
    this.table = el("div", { class: "clw-rows" });
    this.pager = el("div", { class: "clw-pager" });
    this.detail = el("section", { class: "clw-detail", "aria-label": "Conversation", "data-testid": "clw-detail", tabindex: "-1", hidden: "" });
    this.code = el("pre", { "data-testid": "clw-code" });
    const box = el(
      "div",
      // JupyterLab takes no keys from inside an element that says so.
      { class: "clw-explorer", "data-testid": "clw-explorer", "data-lm-suppress-shortcuts": "true", onkeydown: (e) => this.key(e) },
      this.controls(), this.error, this.status,
      el("div", { class: "clw-pictures" }, this.bars, this.time),
      this.table, this.pager, this.detail,
      el("details", {}, el("summary", {}, "As code"), this.code),
    );
    root.append(box);
  }

  controls() {
    const { slices, groups } = this.offers;
    this.fields = {
      slice: this.select("Slice", "clw-slice", [["", "all signals"], ...slices.map((name) => [name, name])], (value) => this.set({ slice: value })),
      outcome: this.select("Outcome", "clw-outcome", [["", "any"], ["good", "good"], ["bad", "bad"], ["pending", "pending"], ["good,bad", "settled"]], (value) =>
        this.set({ outcome: value ? value.split(",") : [] })),
      text: this.input("Text contains", "clw-text", "search", "text"),
      since: this.input("From", "clw-since", "date", "since"),
      until: this.input("To", "clw-until", "date", "until"),
      where: this.input("Condition (SQL)", "clw-where", "search", "where", "latency_ms > 500"),
    };
    this.more = el("span", { class: "clw-chips" });
    this.adding = this.valuesMenu();
    this.grouping = this.select("Bars by", "clw-group", [["", "none"], ...groups.map((name) => [name, name])], (value) => {
      this.model.set("group_by", value);
      this.model.save_changes();
      this.look();
    });
    const clear = el("button", { type: "button", "data-testid": "clw-clear", onclick: () => this.clear() }, "Clear filters");
    this.fill();
    const all = [...Object.values(this.fields), this.adding, this.grouping];
    return el("div", { class: "clw-controls", role: "group", "aria-label": "Filters" }, ...all.map((field) => field.label), clear, this.more);
  }

  select(title, testid, options, change) {
    const control = el("select", { "data-testid": testid, onchange: () => change(control.value) },
      ...options.map(([value, text]) => el("option", { value }, text)));
    return { control, label: el("label", {}, el("span", {}, title), control) };
  }

  input(title, testid, type, name, placeholder = null) {
    const change = () => {
      clearTimeout(this.timer);
      if (control.value !== (this.filters[name] ?? "")) this.set({ [name]: control.value });
    };
    const later = () => {
      clearTimeout(this.timer);
      if (name === "text") this.timer = setTimeout(change, WAIT_MS);
    };
    const control = el("input", { type, placeholder, "data-testid": testid, onchange: change, oninput: later });
    return { control, label: el("label", {}, el("span", {}, title), control) };
  }

  /** One menu for the values of all columns that have few. */
  valuesMenu() {
    const control = el("select", { "data-testid": "clw-values", onchange: () => this.add(control) }, el("option", { value: "" }, "choose …"));
    this.places = [];
    for (const [column, values] of Object.entries(this.offers.values)) {
      const group = el("optgroup", { label: column });
      for (const value of values) {
        group.append(el("option", { value: String(this.places.length) }, named(value)));
        this.places.push([column, value]);
      }
      control.append(group);
    }
    return { control, label: el("label", {}, el("span", {}, "Column has"), control) };
  }

  add(control) {
    const place = this.places[Number(control.value)];
    control.value = "";
    if (place) this.narrow(...place);
  }

  narrow(column, value) {
    const values = { ...this.filters.values };
    const held = values[column] ?? [];
    if (!held.includes(value)) this.set({ values: { ...values, [column]: [...held, value] } });
  }

  widen(column, value) {
    const values = { ...this.filters.values };
    values[column] = values[column].filter((each) => each !== value);
    this.set({ values });
  }

  /** The fields say what the filters are. */
  fill() {
    for (const name of ["slice", "text", "since", "until", "where"]) this.fields[name].control.value = this.filters[name] ?? "";
    this.fields.outcome.control.value = (this.filters.outcome ?? []).join(",");
    this.grouping.control.value = this.model.get("group_by");
    const chips = Object.entries(this.filters.values ?? {}).flatMap(([column, values]) =>
      values.map((value) => el("button", { type: "button", class: "clw-chip", "aria-label": `Remove filter ${column} is ${named(value)}`, onclick: () => this.widen(column, value) },
        `${column} is ${named(value)} ×`)));
    this.more.replaceChildren(...chips);
  }

  clear() {
    this.filters = {};
    this.set({});
  }

  set(change) {
    this.filters = { ...this.filters, ...change };
    this.page = 0;
    this.at = 0;
    this.look({ moved: true });
  }

  /** A cell has set filters or bars. */
  fromOutside() {
    const filters = this.model.get("filters");
    if (this.grouped === this.model.get("group_by") && JSON.stringify(filters) === this.sent) return;
    this.filters = structuredClone(filters);
    this.page = 0;
    this.look();
  }

  async look({ moved = false, focus = false } = {}) {
    const number = ++this.looks;
    const selected = this.model.get("selected_ids");
    const { filters, page, sort, descending } = this;
    this.grouped = this.model.get("group_by");
    this.table.setAttribute("aria-busy", "true");
    const answer = await this.requests.ask({ kind: "look", filters, page, sort, descending, group_by: this.grouped, selected });
    if (number !== this.looks) return;
    this.table.setAttribute("aria-busy", "false");
    this.error.hidden = !answer.error;
    this.error.textContent = answer.error ?? "";
    if (answer.error) return;
    this.seen = answer.look;
    this.filters = answer.look.filters;
    this.page = answer.look.page;
    this.sent = JSON.stringify(this.filters);
    if (moved) this.tell(selected, answer.look.kept);
    this.draw(selected.length - answer.look.kept.length);
    if (focus) this.focus(this.at);
  }

  tell(selected, kept) {
    this.model.set("filters", this.filters);
    if (kept.length !== selected.length) this.model.set("selected_ids", kept);
    this.model.save_changes();
  }

  draw(lost) {
    const { found, code } = this.seen;
    const marked = this.model.get("selected_ids").length;
    const gone = lost > 0 ? ` ${count(lost)} marked ${lost === 1 ? "signal is" : "signals are"} not among them and no longer marked.` : "";
    this.note = gone;
    this.status.textContent = this.said(found, marked) + gone;
    this.code.textContent = code;
    this.fill();
    this.drawBars();
    this.drawTime();
    this.drawTable();
    this.drawPager();
  }

  said(found, marked) {
    return `${count(found)} of ${count(this.offers.n)} signals${marked ? `, ${count(marked)} marked` : ""}.`;
  }

  drawBars() {
    const { bars, more } = this.seen;
    if (!bars.length) return this.bars.replaceChildren();
    const by = this.model.get("group_by");
    const offered = this.offers.values[by];
    const rows = bars.map((row) => {
      const place = (share) => `${share * 100}%`;
      const track = el("div", { class: "clw-track" });
      if (row.n) {
        const band = el("span", { class: "clw-band" });
        band.style.left = place(row.low);
        band.style.width = place(row.high - row.low);
        const dot = el("span", { class: "clw-dot" });
        dot.style.left = place(row.rate);
        track.append(band, dot);
      }
      const name = offered?.includes(row.group)
        ? el("button", { type: "button", title: "Only these", onclick: () => this.narrow(by, row.group) }, named(row.group))
        : named(row.group);
      const pending = row.pending ? `, ${count(row.pending)} pending` : "";
      return el("tr", {}, el("th", { scope: "row" }, name), el("td", { class: "clw-wide" }, track), el("td", {}, told(row) + pending));
    });
    const left = more ? el("p", { class: "clw-quiet" }, `${count(more)} smaller groups not drawn`) : null;
    const caption = el("caption", {}, `Good outcomes by ${by}, 0 to 100 %, with 95 % intervals`);
    this.bars.replaceChildren(...[el("table", {}, caption, el("tbody", {}, ...rows)), left].filter(Boolean));
  }

  drawTime() {
    const { time, every } = this.seen;
    if (!time.length) return this.time.replaceChildren();
    const [width, height, volume] = [420, 120, 34];
    const moments = time.map((row) => Date.parse(`${row.at.replace(" ", "T")}Z`));
    const gaps = moments.slice(1).map((moment, at) => moment - moments[at]);
    const period = Math.min(...(gaps.length ? gaps : [1]));
    const span = moments[moments.length - 1] - moments[0] + period;
    const step = (period / span) * width;
    const most = Math.max(...time.map((row) => row.n + row.pending), 1);
    const y = (share) => 6 + (1 - share) * (height - 12);
    const [first, last] = [time[0].at, time[time.length - 1].at].map((at) => (every === "hour" ? at : at.slice(0, 10)));
    const spoken = `Good outcomes by ${every}, from ${first} to ${last}`;
    const picture = svg("svg", { viewBox: `0 0 ${width} ${height + volume + 4}`, role: "img", "aria-label": spoken });
    for (const share of [0, 0.5, 1]) picture.append(svg("line", { class: "clw-grid", x1: 0, x2: width, y1: y(share), y2: y(share) }));
    time.forEach((row, at) => {
      const left = ((moments[at] - moments[0]) / span) * width;
      const x = left + step / 2;
      const tall = ((row.n + row.pending) / most) * volume;
      const title = `${every === "hour" ? row.at : row.at.slice(0, 10)}: ${told(row)}, ${count(row.pending)} pending`;
      picture.append(svg("rect", { class: "clw-volume", x: left + step * 0.1, width: step * 0.8, y: height + 4 + volume - tall, height: tall }, title));
      if (!row.n) return;
      picture.append(
        svg("line", { class: "clw-reach", x1: x, x2: x, y1: y(row.low), y2: y(row.high) }, title),
        svg("circle", { class: "clw-point", cx: x, cy: y(row.rate), r: Math.min(3.5, step * 0.4) }, title),
      );
    });
    const ends = el("div", { class: "clw-ends clw-quiet" }, el("span", {}, first), el("span", {}, last));
    this.time.replaceChildren(el("p", { class: "clw-caption" }, `${spoken.split(",")[0]} (0 to 100 %), number of signals below`), picture, ends);
  }

  drawTable() {
    const { rows, found } = this.seen;
    if (!rows.length) return this.table.replaceChildren(el("p", { class: "clw-empty" }, this.offers.n ? "No signal meets all filters." : "There are no signals yet."));
    const columns = this.offers.columns;
    const head = columns.map((name) => {
      const sorted = this.sort === name ? (this.descending ? "descending" : "ascending") : null;
      const arrow = sorted ? (this.descending ? " ▼" : " ▲") : "";
      return el("th", { scope: "col", "aria-sort": sorted }, el("button", { type: "button", onclick: () => this.sortBy(name) }, (TITLES[name] ?? name) + arrow));
    });
    const held = this.table.getRootNode().activeElement?.closest("tr")?.dataset.id;
    this.at = Math.min(this.at, rows.length - 1);
    const body = rows.map((row, at) => this.drawRow(row, at, columns));
    this.table.replaceChildren(el("table", { role: "grid", "aria-rowcount": String(found), "aria-multiselectable": "true", "aria-label": "Signals: arrow keys move, Space marks, Enter opens", "data-testid": "clw-table" },
      el("thead", {}, el("tr", {}, el("th", { scope: "col" }, el("span", { class: "clw-hidden" }, "marked")), ...head)), el("tbody", {}, ...body)));
    this.mark();
    if (held !== undefined && this.table.isConnected) this.focus(Math.max(0, rows.findIndex((row) => row.interaction_id === held)));
  }

  drawRow(row, at, columns) {
    const box = el("input", { type: "checkbox", tabindex: "-1", "aria-label": "Mark", onclick: (event) => { event.stopPropagation(); this.at = at; this.toggle(row.interaction_id); } });
    const cells = columns.map((name) => {
      const text = shown(row[name], name);
      return el("td", { class: name === "outcome" ? `clw-${text}` : `clw-of-${name}`, title: name === "text" || name === "answer" ? text : null }, text);
    });
    return el("tr", { tabindex: at === this.at ? "0" : "-1", "data-id": row.interaction_id, "data-testid": "clw-row",
      onclick: () => { this.focus(at); this.open(row.interaction_id); }, onfocus: () => { this.at = at; } }, el("td", {}, box), ...cells);
  }

  drawPager() {
    const last = Math.max(0, Math.ceil(this.seen.found / this.offers.page) - 1);
    const go = (page) => () => this.turn(page);
    this.pager.replaceChildren(
      el("button", { type: "button", "aria-label": "Previous page", "data-testid": "clw-previous", disabled: this.page === 0, onclick: go(this.page - 1) }, "‹"),
      el("span", { "data-testid": "clw-page" }, `page ${count(this.page + 1)} of ${count(last + 1)}`),
      el("button", { type: "button", "aria-label": "Next page", "data-testid": "clw-next", disabled: this.page >= last, onclick: go(this.page + 1) }, "›"),
      el("button", { type: "button", "data-testid": "clw-unmark", disabled: !this.model.get("selected_ids").length, onclick: () => this.select_ids([]) }, "Unmark all"),
    );
  }

  turn(page, focus = false) {
    this.page = page;
    this.look({ focus });
  }

  sortBy(name) {
    this.descending = this.sort === name ? !this.descending : true;
    this.sort = name;
    this.page = 0;
    this.look();
  }

  toggle(id) {
    const held = this.model.get("selected_ids");
    this.select_ids(held.includes(id) ? held.filter((each) => each !== id) : [...held, id]);
  }

  select_ids(ids) {
    this.note = "";
    this.model.set("selected_ids", ids);
    this.model.save_changes();
    this.look();
  }

  /** Shows which rows are marked. */
  mark() {
    const held = new Set(this.model.get("selected_ids"));
    for (const row of this.table.querySelectorAll("tbody tr")) {
      const marked = held.has(row.dataset.id);
      row.setAttribute("aria-selected", String(marked));
      row.querySelector("input").checked = marked;
    }
    if (this.seen) this.status.textContent = this.said(this.seen.found, held.size) + (this.note ?? "");
  }

  focus(at) {
    const rows = this.table.querySelectorAll("tbody tr");
    if (!rows.length) return;
    this.at = Math.max(0, Math.min(at, rows.length - 1));
    rows.forEach((row, place) => row.setAttribute("tabindex", place === this.at ? "0" : "-1"));
    rows[this.at].focus();
  }

  key(event) {
    event.stopPropagation();
    if (event.key === "Escape" && !this.detail.hidden) return this.close();
    if (event.target.tagName !== "TR" || event.ctrlKey || event.metaKey || event.altKey) return;
    const last = Math.ceil(this.seen.found / this.offers.page) - 1;
    const rows = this.seen.rows.length;
    const moves = {
      ArrowDown: () => (this.at + 1 < rows ? this.focus(this.at + 1) : this.page < last && ((this.at = 0), this.turn(this.page + 1, true))),
      ArrowUp: () => (this.at > 0 ? this.focus(this.at - 1) : this.page > 0 && ((this.at = this.offers.page - 1), this.turn(this.page - 1, true))),
      Home: () => this.focus(0),
      End: () => this.focus(rows - 1),
      PageDown: () => this.page < last && this.turn(this.page + 1, true),
      PageUp: () => this.page > 0 && this.turn(this.page - 1, true),
      Enter: () => this.open(event.target.dataset.id),
      " ": () => this.toggle(event.target.dataset.id),
    };
    if (!moves[event.key]) return;
    event.preventDefault();
    moves[event.key]();
  }

  async open(id) {
    const answer = await this.requests.ask({ kind: "detail", id });
    this.detail.hidden = false;
    if (answer.error) return this.detail.replaceChildren(el("p", { class: "clw-error" }, answer.error));
    const { messages, left_out, feedback, facts, turns } = answer.detail;
    const turn = turns.indexOf(id);
    const go = (to, title, text) => el("button", { type: "button", "aria-label": title, disabled: turns[to] === undefined, onclick: () => this.open(turns[to]) }, text);
    const head = el("div", { class: "clw-head" }, go(turn - 1, "Turn before", "‹"), el("span", {}, `turn ${turn + 1} of ${turns.length} in its conversation`), go(turn + 1, "Next turn", "›"),
      el("button", { type: "button", "data-testid": "clw-close", onclick: () => this.close() }, "Close (Esc)"));
    const before = left_out ? el("p", { class: "clw-quiet" }, `${count(left_out)} earlier messages not shown`) : null;
    const said = feedback.length ? [el("h4", {}, "Feedback"), ...feedback.map((each) => this.feedback(each))] : [el("p", { class: "clw-quiet" }, "No feedback.")];
    const known = Object.entries(facts).flatMap(([name, value]) => [el("dt", {}, name), el("dd", {}, shown(value, name))]);
    this.detail.replaceChildren(head, ...[before].filter(Boolean), ...messages.map((each) => this.message(each)), ...said, el("dl", {}, ...known));
    this.detail.focus({ preventScroll: true });
    this.detail.scrollIntoView({ block: "nearest" });
  }

  message({ role, name, text, calls, answer }) {
    const made = calls.map((call) => el("div", { class: "clw-call" }, el("b", {}, call.name), el("code", {}, call.arguments)));
    const who = el("div", { class: "clw-who" }, name ? `${role} · ${name}` : role);
    return el("article", { class: `clw-message clw-from-${/^\w+$/.test(role) ? role : "other"}${answer ? " clw-answer" : ""}` }, who, text ? el("div", { class: "clw-said" }, text) : null, ...made);
  }

  feedback({ name, kind, score, origin, at, value, comment, improvement }) {
    const words = [name, kind !== name ? kind : null, score === null ? null : `score ${score}`, origin ? `by ${origin}` : null, at].filter(Boolean).join(" · ");
    const more = [comment, improvement ? `better: ${improvement}` : "", value].filter(Boolean);
    return el("article", { class: "clw-feedback" }, el("div", { class: "clw-who" }, words), ...more.map((each) => el("div", { class: "clw-said" }, each)));
  }

  close() {
    this.detail.hidden = true;
    this.detail.replaceChildren();
    this.focus(this.at);
  }
}

export default {
  render({ model, el: root }) {
    const view = new View(model, root);
    return () => view.end();
  },
};
