// Draws an explorer. Every text from outside goes through textContent, attributes that are not markup, or `value`.

const SVG = "http://www.w3.org/2000/svg";
const WAIT_MS = 250;
const ALONE_MS = 5000;
/** Settled signals from which on a cell of the map shows its rate. */
const ENOUGH = 10;
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
const percent = (share) => `${Math.round(share * 100)}\u00a0%`;
const told = (row) => (row.n ? `${percent(row.rate)} (${percent(row.low)} to ${percent(row.high)}), n\u00a0=\u00a0${count(row.n)}` : "not enough data");
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
    this.begin();
    this.look();
  }

  /** What was seen first is drawn at once; it stays as a still picture where nothing answers. */
  begin() {
    const { first, still } = this.offers;
    if (JSON.stringify(this.filters) === JSON.stringify(first.filters)) {
      this.seen = first;
      this.draw(0);
    }
    this.alone = setTimeout(() => {
      if (document.querySelector(`.${CSS.escape(still)}`)) this.box.hidden = true;
      this.table.setAttribute("aria-busy", "false");
      this.status.append(" A still picture: no kernel answers.");
    }, ALONE_MS);
  }

  end() {
    for (const [name, listener] of Object.entries(this.heard)) this.model.off(name, listener);
    this.requests.end();
    clearTimeout(this.timer);
    clearTimeout(this.alone);
    this.style?.remove();
  }

  /** The still picture beside it is for readers without a kernel. */
  hideStill() {
    clearTimeout(this.alone);
    this.box.hidden = false;
    if (this.style) return;
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
    this.map = new Chart(this);
    this.box = el(
      "div",
      // JupyterLab takes no keys from inside an element that says so.
      { class: "clw-explorer", "data-testid": "clw-explorer", "data-lm-suppress-shortcuts": "true", onkeydown: (e) => this.key(e) },
      this.controls(), this.error, this.status,
      el("div", { class: "clw-pictures" }, this.bars, this.time),
      this.map.box, this.table, this.pager, this.keeping(), this.detail,
      el("details", {}, el("summary", {}, "As code"), this.code),
    );
    root.append(this.box);
  }

  controls() {
    const { groups } = this.offers;
    this.fields = {
      slice: this.select("Slice", "clw-slice", [["", "all signals"]], (value) => this.set({ slice: value })),
      outcome: this.select("Outcome", "clw-outcome", [["", "any"], ["good", "good"], ["bad", "bad"], ["pending", "pending"], ["good,bad", "settled"]], (value) =>
        this.set({ outcome: value ? value.split(",") : [] })),
      text: this.input("Text contains", "clw-text", "search", "text"),
      since: this.input("From", "clw-since", "date", "since"),
      until: this.input("To", "clw-until", "date", "until"),
      where: this.input("Condition (SQL)", "clw-where", "search", "where", "latency_ms > 500"),
    };
    this.filled = {};
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
    const ready = () => {
      if (name === "text" && !this.isReady) this.requests.ask({ kind: "ready" });
      this.isReady ||= name === "text";
    };
    const control = el("input", { type, placeholder, "data-testid": testid, onchange: change, oninput: later, onfocus: ready });
    return { control, label: el("label", {}, el("span", {}, title), control) };
  }

  /** What is done with what was found and marked. */
  keeping() {
    const name = el("input", { type: "text", placeholder: "name", "aria-label": "Name of the slice", size: "14", "data-testid": "clw-name", onkeydown: (e) => { if (e.key === "Enter") this.keep({ kind: "save", name: name.value }); } });
    const sets = this.offers.question_sets;
    const set = el("select", { "aria-label": "Question set", "data-testid": "clw-set", hidden: sets.length > 1 ? null : "" }, ...sets.map((each) => el("option", { value: each }, each)));
    this.ofMarked = [
      el("button", { type: "button", "data-testid": "clw-pick", onclick: () => this.keep({ kind: "pick", ids: this.model.get("selected_ids") }) }, "Make marked candidates"),
      el("button", { type: "button", "data-testid": "clw-push", onclick: () => this.keep({ kind: "push", name: set.value, ids: this.model.get("selected_ids") }) }, "Ask annotators about marked"),
    ];
    this.kept = el("p", { class: "clw-kept", role: "status", "aria-live": "polite", "data-testid": "clw-kept", hidden: "" });
    return el("div", { class: "clw-keeping", role: "group", "aria-label": "Keep" },
      name, el("button", { type: "button", "data-testid": "clw-save", onclick: () => this.keep({ kind: "save", name: name.value }) }, "Save filters as slice"),
      this.ofMarked[0], set, this.ofMarked[1], this.kept);
  }

  async keep(asked) {
    this.say(this.kept, "…");
    const answer = await this.requests.ask({ ...asked, filters: this.filters });
    this.say(this.kept, answer.error ?? answer[asked.kind], Boolean(answer.error));
    if (!answer.error) this.look();
  }

  say(place, text, wrong = false) {
    place.hidden = !text;
    place.textContent = text;
    place.classList.toggle("clw-error", wrong);
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

  /** The fields say what the filters are; what somebody is typing stays. */
  fill() {
    const menu = this.fields.slice.control;
    const names = this.seen?.slices ?? [];
    if (menu.length !== names.length + 1) menu.replaceChildren(menu.options[0], ...names.map((name) => el("option", { value: name }, name)));
    const busy = this.table.getRootNode().activeElement;
    const wanted = { ...this.filters, outcome: (this.filters.outcome ?? []).join(",") };
    for (const [name, { control }] of Object.entries(this.fields)) {
      const typing = control === busy && control.value !== this.filled[name];
      this.filled[name] = wanted[name] ?? "";
      if (!typing) control.value = this.filled[name];
    }
    const by = this.model.get("group_by");
    const bars = this.grouping.control;
    bars.value = by;
    if (bars.value !== by) {
      bars.append(el("option", { value: by }, by));
      bars.value = by;
    }
    const chips = Object.entries(this.filters.values ?? {}).flatMap(([column, values]) =>
      values.map((value) => el("button", { type: "button", class: "clw-chip", "aria-label": `Remove filter ${column} is ${named(value)}`, onclick: () => this.widen(column, value) },
        `${column} is ${named(value)} ×`)));
    if (this.filters.area?.length) {
      chips.push(el("button", { type: "button", class: "clw-chip", "data-testid": "clw-area", "aria-label": "Remove filter area of the map", onclick: () => this.set({ area: [] }) }, "area of the map ×"));
    }
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
    this.hideStill();
    if (number !== this.looks) return;
    this.table.setAttribute("aria-busy", "false");
    this.error.hidden = !answer.error;
    this.error.textContent = answer.error ?? "";
    this.table.classList.toggle("clw-stale", Boolean(answer.error));
    if (answer.error) return;
    this.seen = answer.look;
    this.filters = answer.look.filters;
    this.page = answer.look.page;
    this.sent = JSON.stringify(this.filters);
    if (moved) this.tell(selected, answer.look.kept);
    this.draw(selected.length - answer.look.kept.length);
    if (focus) this.focus(this.at);
    this.map.follow();
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
      el("button", { type: "button", "data-testid": "clw-mark-all", disabled: !this.seen.found || this.seen.found > this.offers.most_marked, title: `Up to ${count(this.offers.most_marked)}`, onclick: () => this.markAll() }, "Mark all found"),
      el("button", { type: "button", "data-testid": "clw-unmark", disabled: !this.model.get("selected_ids").length, onclick: () => this.select_ids([]) }, "Unmark all"),
    );
    for (const button of this.ofMarked) button.disabled = !this.model.get("selected_ids").length;
  }

  async markAll() {
    const { ids } = await this.requests.ask({ kind: "ids", filters: this.filters });
    if (ids) this.select_ids([...new Set([...this.model.get("selected_ids"), ...ids])]);
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
    this.opening = id;
    const answer = await this.requests.ask({ kind: "detail", id });
    if (this.opening !== id) return;
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
    this.opening = null;
    this.detail.hidden = true;
    this.detail.replaceChildren();
    this.focus(this.at);
  }
}

/** The map: a grid of cells, and an area that is drawn on it with the pointer or with Shift and the arrow keys. */
class Chart {
  constructor(view) {
    this.view = view;
    this.asks = 0;
    this.at = { row: 0, column: 0 };
    this.hatch = `clw-hatch-${Math.random().toString(36).slice(2)}`;
    this.told = el("p", { class: "clw-caption", "data-testid": "clw-map-said" });
    this.here = el("p", { class: "clw-quiet", role: "status", "aria-live": "polite", "data-testid": "clw-map-here" });
    this.colour = el("select", { "data-testid": "clw-map-colour", onchange: () => this.draw() }, el("option", { value: "n" }, "number of signals"), el("option", { value: "bad" }, "bad outcomes"));
    this.legend = el("span", { class: "clw-legend" });
    this.picture = svg("svg", { class: "clw-map", viewBox: "0 0 800 420", preserveAspectRatio: "none", tabindex: "0", role: "application",
      "aria-label": "Map: arrow keys move, Shift and arrow keys draw an area, Enter filters by it, Escape takes it away", "data-testid": "clw-map" });
    for (const [name, listener] of Object.entries({ pointerdown: "press", pointermove: "drag", pointerup: "release", keydown: "key" })) {
      this.picture.addEventListener(name, (event) => this[listener](event));
    }
    this.box = el("details", { class: "clw-chart", "data-testid": "clw-map-box", ontoggle: () => this.follow() },
      el("summary", {}, "Map of what was said"), this.told,
      el("div", { class: "clw-controls" }, el("label", {}, el("span", {}, "Colour"), this.colour), this.legend), this.picture, this.here);
  }

  /** Asks for the cells when the filters are others, and draws the area anew. */
  async follow() {
    if (!this.box.open) return;
    const { area, ...filters } = this.view.filters;
    const wanted = JSON.stringify(filters);
    if (wanted === this.drawn) return this.draw();
    const number = ++this.asks;
    for (;;) {
      const answer = await this.view.requests.ask({ kind: "map", filters });
      if (number !== this.asks) return;
      this.told.classList.toggle("clw-error", Boolean(answer.error));
      if (answer.error) {
        this.told.textContent = answer.error;
        return;
      }
      if (answer.map.progress) {
        const [done, of] = answer.map.progress;
        this.told.textContent = `Laying out texts: ${count(done)} of ${count(of)} …`;
        continue;
      }
      this.drawn = wanted;
      this.seen = answer.map;
      this.cells = new Map(answer.map.cells.map(([row, column, n, pending, rate, low, high]) => [`${row},${column}`, { row, column, n, pending, rate, low, high }]));
      return this.draw();
    }
  }

  draw() {
    const { seen } = this;
    if (!seen) return;
    [this.columns, this.rows] = [seen.x.length - 1, seen.y.length - 1];
    const how = seen.model === "hashed" ? "its wording (hashed n-grams)" : `its meaning (${seen.model})`;
    const without = seen.unplaced ? ` ${count(seen.unplaced)} ${seen.left_out ? "lie not on it: no text, or more different texts than are laid out" : "said nothing"}.` : "";
    this.told.textContent = `${count(seen.placed)} ${seen.placed === 1 ? "signal" : "signals"} by what the user said last, laid out by ${how}: neighbours are alike, as far as two main directions (PCA) with ${percent(seen.kept)} of the variance can tell.${without}`;
    const cells = [...this.cells.values()];
    const bad = this.colour.value === "bad";
    const most = Math.max(1, ...cells.map((cell) => cell.n + cell.pending));
    const worst = Math.max(0.01, ...cells.filter((cell) => cell.n >= ENOUGH).map((cell) => 1 - cell.rate));
    const strength = (cell) => (bad ? (1 - cell.rate) / worst : Math.log1p(cell.n + cell.pending) / Math.log1p(most));
    const hatch = svg("pattern", { id: this.hatch, width: 5, height: 5, patternUnits: "userSpaceOnUse", patternTransform: "rotate(45)" });
    hatch.append(svg("line", { class: "clw-hatching", x1: 0, y1: 0, x2: 0, y2: 5 }));
    this.picture.replaceChildren(hatch, ...cells.map((cell) => {
      const few = bad && cell.n < ENOUGH;
      const fill = few ? { class: "clw-few", fill: `url(#${this.hatch})` } : { class: bad ? "clw-of-bad" : "clw-of-n", "fill-opacity": (0.1 + 0.9 * strength(cell)).toFixed(3) };
      return svg("rect", { ...this.place(cell, cell), ...fill }, this.words(cell));
    }));
    this.legend.replaceChildren(...this.legendOf(bad, most, worst));
    this.area = svg("rect", { class: "clw-area" });
    this.cursor = svg("rect", { class: "clw-cursor" });
    this.picture.append(this.area, this.cursor);
    this.mark();
  }

  legendOf(bad, most, worst) {
    const swatches = [0.1, 0.4, 0.7, 1].map((strength) => { const made = el("span", { class: bad ? "clw-of-bad" : "clw-of-n" }); made.style.opacity = strength; return made; });
    const few = bad ? [el("span", { class: "clw-few" }), `fewer than ${ENOUGH} settled`] : [];
    if (bad && ![...this.cells.values()].some((cell) => cell.n >= ENOUGH)) return ["not enough data in any cell", ...few];
    return [bad ? "0 %" : "1", ...swatches, bad ? `${percent(worst)} bad` : count(most), ...few];
  }

  /** Where cells lie in the picture, from one corner to the other. */
  place(one, other) {
    const [wide, tall] = [800 / this.columns, 420 / this.rows];
    const [left, right] = [Math.min(one.column, other.column), Math.max(one.column, other.column) + 1];
    const [low, high] = [Math.min(one.row, other.row), Math.max(one.row, other.row) + 1];
    return { x: left * wide, y: 420 - high * tall, width: (right - left) * wide, height: (high - low) * tall };
  }

  words(cell) {
    if (!cell) return "no signals";
    return `${count(cell.n + cell.pending)} ${cell.n + cell.pending === 1 ? "signal" : "signals"}; good outcomes: ${told(cell)}${cell.pending ? `, ${count(cell.pending)} pending` : ""}`;
  }

  /** Draws the area that is being drawn, else the one that is a filter, and where the keyboard is. */
  mark() {
    const { area } = this.view.filters;
    const put = (shape, at) => { for (const [name, value] of Object.entries(at)) shape.setAttribute(name, value); };
    put(this.cursor, this.place(this.at, this.at));
    const drawn = this.from ? this.place(this.from, this.at) : area?.length ? this.of(area) : { width: 0, height: 0 };
    put(this.area, drawn);
  }

  of([left, right, low, high]) {
    const across = (x) => ((x - this.seen.x[0]) / (this.seen.x.at(-1) - this.seen.x[0])) * 800;
    const up = (y) => 420 - ((y - this.seen.y[0]) / (this.seen.y.at(-1) - this.seen.y[0])) * 420;
    return { x: across(left), y: up(high), width: across(right) - across(left), height: up(low) - up(high) };
  }

  cellAt(event) {
    const box = this.picture.getBoundingClientRect();
    const within = (share, n) => Math.max(0, Math.min(n - 1, Math.floor(share * n)));
    return { column: within((event.clientX - box.left) / box.width, this.columns), row: within(1 - (event.clientY - box.top) / box.height, this.rows) };
  }

  press(event) {
    if (!this.seen || event.button) return;
    this.picture.setPointerCapture(event.pointerId);
    this.pressed = true;
    this.at = this.from = this.cellAt(event);
    this.mark();
  }

  drag(event) {
    if (!this.seen) return;
    const at = this.cellAt(event);
    if (this.pressed) {
      this.at = at;
      this.mark();
    }
    this.here.textContent = this.words(this.cells.get(`${at.row},${at.column}`));
  }

  release() {
    if (!this.pressed) return;
    this.pressed = false;
    this.choose();
  }

  /** The area that was drawn becomes a filter. */
  choose() {
    const from = this.from ?? this.at;
    this.from = null;
    this.here.textContent = "";
    const edge = (edges, one, other) => [edges[Math.min(one, other)], edges[Math.max(one, other) + 1]];
    this.view.set({ area: [...edge(this.seen.x, from.column, this.at.column), ...edge(this.seen.y, from.row, this.at.row)] });
  }

  key(event) {
    const steps = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [1, 0], ArrowDown: [-1, 0] };
    if (!this.seen || event.ctrlKey || event.metaKey || event.altKey) return;
    const step = steps[event.key];
    if (step) {
      if (event.shiftKey) this.from ??= this.at;
      else this.from = null;
      const within = (place, n) => Math.max(0, Math.min(n - 1, place));
      this.at = { row: within(this.at.row + step[0], this.rows), column: within(this.at.column + step[1], this.columns) };
      this.here.textContent = this.words(this.cells.get(`${this.at.row},${this.at.column}`));
      this.mark();
    } else if (event.key === "Enter" || event.key === " ") this.choose();
    else if (event.key === "Escape") this.clear();
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  clear() {
    this.from = null;
    if (this.view.filters.area?.length) this.view.set({ area: [] });
    else this.mark();
  }
}

export default {
  render({ model, el: root }) {
    const view = new View(model, root);
    return () => view.end();
  },
};
