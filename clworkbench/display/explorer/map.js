// The explorer's map.

/** Settled signals from which on a cell of the map shows its rate. */
const ENOUGH = 10;

/** The map: a grid of cells, and an area that is drawn on it with the pointer or with Shift and the arrow keys. */
class Chart {
  constructor(view) {
    this.view = view;
    this.asks = 0;
    this.at = { row: 0, column: 0 };
    this.hatch = `clw-hatch-${Math.random().toString(36).slice(2)}`;
    this.told = el("p", { class: "clw-caption", "data-testid": "clw-map-said" });
    this.here = el("p", { class: "clw-quiet", role: "status", "aria-live": "polite", "data-testid": "clw-map-here" });
    this.telling = el("p", { class: "clw-quiet", role: "status", "aria-live": "polite", "data-testid": "clw-map-telling" });
    this.colour = el("select", { "data-testid": "clw-map-colour", onchange: () => this.draw() }, el("option", { value: "n" }, "number of signals"), el("option", { value: "bad" }, "bad outcomes"));
    this.legend = el("span", { class: "clw-legend" });
    this.picture = svg("svg", { class: "clw-map", viewBox: "0 0 800 420", preserveAspectRatio: "none", tabindex: "0", role: "application",
      "aria-label": "Map: arrow keys move, Shift and arrow keys draw an area, Enter filters by it, Escape takes it away", "data-testid": "clw-map" });
    for (const [name, listener] of Object.entries({ pointerdown: "press", pointermove: "drag", pointerup: "release", keydown: "key" })) {
      this.picture.addEventListener(name, (event) => this[listener](event));
    }
    this.box = el("details", { class: "clw-chart", "data-testid": "clw-map-box", ontoggle: () => this.follow() },
      el("summary", {}, "Map of what was said"), this.told,
      el("div", { class: "clw-controls" }, el("label", {}, el("span", {}, "Colour"), this.colour), this.legend), this.picture, this.here, this.telling);
  }

  /** Asks for the cells when the filters are others, and draws the area anew. */
  async follow() {
    if (!this.box.open) return;
    const { area, ...filters } = this.view.filters;
    const wanted = JSON.stringify(filters);
    this.tell();
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

  /** Says which words tell the area that is a filter apart from all else that the other filters find. */
  async tell() {
    const { filters } = this.view;
    const wanted = JSON.stringify(filters);
    if (wanted === this.asked) return;
    this.asked = wanted;
    this.telling.textContent = "";
    if (!filters.area?.length) return;
    const answer = await this.view.requests.ask({ kind: "area", filters });
    if (wanted === this.asked) this.telling.textContent = answer.error ?? answer.area;
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
