// A conversation as the explorer shows it, with its tool calls and its feedback.

/** The elements of a signal's detail; `open` goes to another turn, `close` leaves. */
function conversation(id, { messages, left_out, feedback, facts, turns }, open, close) {
  const turn = turns.indexOf(id);
  const go = (to, title, text) => el("button", { type: "button", "aria-label": title, disabled: turns[to] === undefined, onclick: () => open(turns[to]) }, text);
  const head = el("div", { class: "clw-head" }, go(turn - 1, "Turn before", "‹"), el("span", {}, `turn ${turn + 1} of ${turns.length} in its conversation`), go(turn + 1, "Next turn", "›"),
    el("button", { type: "button", "data-testid": "clw-close", onclick: close }, "Close (Esc)"));
  const before = left_out ? el("p", { class: "clw-quiet" }, `${count(left_out)} earlier messages not shown`) : null;
  const said = feedback.length ? [el("h4", {}, "Feedback"), ...feedback.map((each) => feedbackOf(each))] : [el("p", { class: "clw-quiet" }, "No feedback.")];
  const known = Object.entries(facts).flatMap(([name, value]) => [el("dt", {}, name), el("dd", {}, shown(value, name))]);
  return [head, ...[before].filter(Boolean), ...messages.map(messageOf), ...said, el("dl", {}, ...known)];
}

function messageOf({ role, name, text, calls, answer }) {
  const made = calls.map((call) => el("div", { class: "clw-call" }, el("b", {}, call.name), el("code", {}, call.arguments)));
  const who = el("div", { class: "clw-who" }, name ? `${role} · ${name}` : role);
  return el("article", { class: `clw-message clw-from-${/^\w+$/.test(role) ? role : "other"}${answer ? " clw-answer" : ""}` }, who, text ? el("div", { class: "clw-said" }, text) : null, ...made);
}

function feedbackOf({ name, kind, score, origin, at, value, comment, improvement }) {
  const words = [name, kind !== name ? kind : null, score === null ? null : `score ${score}`, origin ? `by ${origin}` : null, at].filter(Boolean).join(" · ");
  const more = [comment, improvement ? `better: ${improvement}` : "", value].filter(Boolean);
  return el("article", { class: "clw-feedback" }, el("div", { class: "clw-who" }, words), ...more.map((each) => el("div", { class: "clw-said" }, each)));
}
