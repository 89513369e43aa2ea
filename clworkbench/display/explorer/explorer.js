// Filters, the table of signals, and what is done with them; the last part, which draws the others.

const WAIT_MS = 250;
const TITLES = { started_at: "began (UTC)", n_feedback: "feedback", feedback_names: "said of it" };

class View {
  constructor(model, root) {
    this.model = model;
    this.offers = model.get("offers");
    this.requests = requests(model, (waits) => this.late(waits));
    this.page = 0;
    this.sort = "started_at";
    this.descending = true;
    this.at = 0;
    this.looks = 0;
    this.moved = false;
    this.filters = structuredClone(model.get("filters"));
    this.build(root);
    this.heard = {
      "change:filters": () => this.fromOutside(),
      "change:group_by": () => this.regroup(),
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
    }, LATE_MS);
  }

  /** Says that nothing answers any more, or that something does. */
  late(waits) {
    this.waiting.hidden = !waits || !this.style;
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
    this.waiting = el("p", { class: "clw-error", role: "alert", "data-testid": "clw-late", hidden: "" }, "No answer for 5 s: the kernel is busy with a cell, or it was restarted. Then run this cell again.");
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
      this.controls(), this.waiting, this.error, this.status,
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
      this.regroup();
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
      values.map((value) => el("button", { type: "button", class: "clw-chip", "data-testid": "clw-chip", "aria-label": `Remove filter ${column} is ${named(value)}`, onclick: () => this.widen(column, value) },
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

  /** A cell has set filters. */
  fromOutside() {
    const filters = this.model.get("filters");
    if (JSON.stringify(filters) === this.sent) return;
    this.filters = structuredClone(filters);
    this.moved = false;
    this.page = 0;
    this.look();
  }

  /** Bars stand by another column; filters that are on their way stay. */
  regroup() {
    if (this.grouped !== this.model.get("group_by")) this.look();
  }

  async look({ moved = false, focus = false } = {}) {
    const number = ++this.looks;
    this.moved ||= moved;
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
    if (this.moved || answer.look.kept.length !== selected.length) this.tell(selected, answer.look.kept);
    this.draw(selected.length - answer.look.kept.length);
    if (focus) this.focus(this.at);
    this.map.follow();
  }

  /** The kernel learns of the filters, and which of the marks it was asked about are let go. */
  tell(asked, kept) {
    this.moved = false;
    this.model.set("filters", this.filters);
    const gone = new Set(asked);
    for (const id of kept) gone.delete(id);
    if (gone.size) this.model.set("selected_ids", this.model.get("selected_ids").filter((id) => !gone.has(id)));
    this.model.save_changes();
  }

  draw(lost) {
    const { found, code } = this.seen;
    const held = this.held();
    const marked = this.model.get("selected_ids").length;
    const gone = lost > 0 ? ` ${count(lost)} marked ${lost === 1 ? "signal is" : "signals are"} not among them and no longer marked.` : "";
    this.note = gone;
    this.status.textContent = this.said(found, marked) + gone;
    this.code.textContent = code;
    this.fill();
    const by = this.model.get("group_by");
    this.bars.replaceChildren(...ratesBy(by, this.seen, this.offers.values[by], (...place) => this.narrow(...place)));
    this.time.replaceChildren(...ratesOver(this.seen));
    this.drawTable();
    this.drawPager();
    this.hold(held);
  }

  /** What has the focus, by a name that it has after it is drawn anew as well. */
  held() {
    const focused = this.box.getRootNode().activeElement;
    return this.box.contains(focused) ? focused.dataset.testid : undefined;
  }

  /** Gives the focus back to what had it, else to the table, so that keys go on where they were. */
  hold(name) {
    if (!name || this.held()) return;
    const again = this.box.querySelector(`[data-testid="${CSS.escape(name)}"]`);
    if (again && !again.disabled) again.focus();
    else this.focus(this.at);
  }

  said(found, marked) {
    return `${count(found)} of ${count(this.offers.n)} signals${marked ? `, ${count(marked)} marked` : ""}.`;
  }

  drawTable() {
    const { rows, found } = this.seen;
    if (!rows.length) return this.table.replaceChildren(el("p", { class: "clw-empty" }, this.offers.n ? "No signal meets all filters." : "There are no signals yet."));
    const columns = this.offers.columns;
    const head = columns.map((name) => {
      const sorted = this.sort === name ? (this.descending ? "descending" : "ascending") : null;
      const arrow = sorted ? (this.descending ? " ▼" : " ▲") : "";
      return el("th", { scope: "col", "aria-sort": sorted }, el("button", { type: "button", "data-testid": `clw-sort-${name}`, onclick: () => this.sortBy(name) }, (TITLES[name] ?? name) + arrow));
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
    const { ids, error } = await this.requests.ask({ kind: "ids", filters: this.filters });
    if (error) this.say(this.kept, error, true);
    else this.select_ids([...new Set([...this.model.get("selected_ids"), ...ids])]);
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
    const most = this.offers.most_marked;
    if (ids.length > most) {
      this.mark();
      return this.say(this.kept, `${count(ids.length)} signals are too many to mark, at most ${count(most)}.`, true);
    }
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
    this.detail.replaceChildren(...conversation(id, answer.detail, (turn) => this.open(turn), () => this.close()));
    this.detail.focus({ preventScroll: true });
    this.detail.scrollIntoView({ block: "nearest" });
  }

  close() {
    this.opening = null;
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
