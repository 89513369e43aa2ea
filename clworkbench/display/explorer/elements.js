// What all parts of the explorer are made of; widget.py joins the parts into one module.
// Every text from outside goes through textContent, attributes that are not markup, or `value`.

const SVG = "http://www.w3.org/2000/svg";
/** For how long an answer may keep somebody waiting without a word. */
const LATE_MS = 5000;

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

/** Requests with numbers, each answered once; `late` is told when an answer is long in coming, and when it came. */
function requests(model, late) {
  const waiting = new Map();
  const own = Math.random().toString(36).slice(2);
  let last = 0;
  let timer = null;
  const watch = () => {
    clearTimeout(timer);
    if (waiting.size) timer = setTimeout(() => late(true), LATE_MS);
  };
  const hear = (message) => {
    const done = waiting.get(message.request);
    if (!done) return;
    waiting.delete(message.request);
    late(false);
    watch();
    done(message);
  };
  model.on("msg:custom", hear);
  return {
    ask: (message) =>
      new Promise((resolve) => {
        const request = `${own}:${++last}`;
        waiting.set(request, resolve);
        watch();
        model.send({ ...message, request });
      }),
    end: () => {
      clearTimeout(timer);
      model.off("msg:custom", hear);
    },
  };
}
