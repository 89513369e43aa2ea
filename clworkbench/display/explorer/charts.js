// The explorer's rates: by a column, and over time.

/** A bar for each group, whose name narrows the filters where its column is offered as one. */
function ratesBy(by, { bars, more }, offered, narrow) {
  if (!bars.length) return [];
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
      ? el("button", { type: "button", title: "Only these", "data-testid": "clw-bar", onclick: () => narrow(by, row.group) }, named(row.group))
      : named(row.group);
    const pending = row.pending ? `, ${count(row.pending)} pending` : "";
    return el("tr", {}, el("th", { scope: "row" }, name), el("td", { class: "clw-wide" }, track), el("td", {}, told(row) + pending));
  });
  const left = more ? el("p", { class: "clw-quiet" }, `${count(more)} smaller groups not drawn`) : null;
  const caption = el("caption", {}, `Good outcomes by ${by}, 0 to 100 %, with 95 % intervals`);
  return [el("table", {}, caption, el("tbody", {}, ...rows)), left].filter(Boolean);
}

/** Rates with their intervals by period, and below them how many signals there were. */
function ratesOver({ time, every }) {
  if (!time.length) return [];
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
  return [el("p", { class: "clw-caption" }, `${spoken.split(",")[0]} (0 to 100 %), number of signals below`), picture, ends];
}
