"use strict";
(() => {
  const ROWS = 200;
  const BARS = 60;
  const SOURCES = 20;
  const find = (id) => document.getElementById(id);
  const whole = (number) => Math.round(number).toLocaleString("en-US");

  /* Data */

  const bytesOf = (base64) => Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
  const unpack = (base64) => new Response(new Blob([bytesOf(base64)]).stream().pipeThrough(new DecompressionStream("gzip")));

  /** The windows of a report, from its data. */
  async function load(json) {
    const data = JSON.parse(json);
    const { numbers, ids, categories, sources, alpha, standardize, max_per_document: maxPerDocument } = data.windows;
    const count = categories.reduce((sum, category) => sum + category.kept, 0);
    const bytes = await (await unpack(numbers)).arrayBuffer();
    const windows = {
      count,
      strengths: new Float64Array(bytes, 0, count),
      uniformities: new Float64Array(bytes, 8 * count, count),
      tokens: new Uint32Array(bytes, 16 * count, count),
      documents: new Uint32Array(bytes, 20 * count, count),
      sources: new Uint16Array(bytes, 24 * count, count),
      taken: new Uint8Array(bytes, 26 * count, count),
      ids: ids === null ? null : await (await unpack(ids)).json(),
      categoryOf: new Uint16Array(count),
      scores: new Float64Array(count),
    };
    let start = 0;
    categories.forEach((category, number) => {
      Object.assign(category, { start, end: start + category.kept, number });
      windows.categoryOf.fill(number, start, category.end);
      start = category.end;
      category.taken = windows.taken.subarray(category.start, category.end).reduce((sum, taken) => sum + taken, 0);
      // One window of a sample stands for so many.
      category.standsFor = category.windows / category.kept;
    });
    const isSample = categories.some((category) => category.kept < category.windows);
    const report = { title: data.title, texts: data.texts, otherCategories: data.other_categories, categories, sources, windows, alpha, standardize, maxPerDocument, isSample };
    for (const category of categories) {
      rank(report, category, alpha);
      const taken = category.order.filter((place) => windows.taken[place]);
      category.runCut = taken.length > 0 ? windows.scores[taken[taken.length - 1]] : null;
    }
    report.runScores = windows.scores.slice();
    return report;
  }

  /* The library's ranking and cut, in the same order of operations: the same scores to the last bit. */

  function scale(values, standardize) {
    let sum = 0;
    let squares = 0;
    let smallest = Infinity;
    let largest = -Infinity;
    for (const value of values) {
      sum += value;
      smallest = Math.min(smallest, value);
      largest = Math.max(largest, value);
    }
    const mean = sum / values.length;
    for (const value of values) squares += (value - mean) * (value - mean);
    const isMinMax = standardize === "min-max";
    const offset = isMinMax ? smallest : mean;
    const unit = isMinMax ? largest - smallest : Math.sqrt(squares / values.length);
    if (unit === 0 || smallest === largest) return () => (isMinMax ? 0.5 : 0);
    return (value) => (value - offset) / unit;
  }

  /** Windows are in the order of their ids, which decides between equal scores. */
  function rank(report, category, alpha) {
    const { windows, standardize, maxPerDocument } = report;
    const { start, end } = category;
    const strengths = windows.strengths.subarray(start, end);
    const uniformities = windows.uniformities.subarray(start, end);
    const [strength, uniformity] = [scale(strengths, standardize), scale(uniformities, standardize)];
    const scores = windows.scores.subarray(start, end);
    scores.forEach((_, place) => (scores[place] = strength(strengths[place]) + alpha * uniformity(uniformities[place])));
    const order = Uint32Array.from(scores, (_, place) => place);
    order.sort((a, b) => scores[b] - scores[a] || a - b);
    category.order = order.map((place) => start + place);
    category.eligible = maxPerDocument === null ? category.order : withinDocuments(category.order, windows, maxPerDocument);
  }

  function withinDocuments(order, windows, most) {
    const counts = new Map();
    return order.filter((place) => {
      const count = (counts.get(windows.documents[place]) ?? 0) + 1;
      counts.set(windows.documents[place], count);
      return count <= most;
    });
  }

  /** How many of so many windows a ratio takes. */
  const takes = (ratio, count) => Math.min(Math.floor(count * ratio * (1 + 1e-12)), count);

  /** How many of these windows, best first, fit into so many tokens. */
  function fits(places, tokens, standsFor, budget) {
    let sum = 0;
    const over = places.findIndex((place) => (sum += tokens[place] * standsFor) > budget);
    return over < 0 ? places.length : over;
  }

  /** A budget for all categories by weight; what one is too small for goes to the others. */
  function shareOut(budget, claims) {
    const shares = claims.map(() => 0);
    let open = [...claims.keys()].filter((place) => claims[place].weight > 0);
    let left = budget;
    for (;;) {
      const weights = open.reduce((sum, place) => sum + claims[place].weight, 0);
      const share = (place) => Math.min(Math.floor(left * (claims[place].weight / weights)), left);
      const met = open.filter((place) => claims[place].tokens <= share(place));
      const unmet = open.filter((place) => claims[place].tokens > share(place));
      if (met.length === 0) {
        for (const place of open) shares[place] = share(place);
        return shares;
      }
      for (const place of met) shares[place] = claims[place].tokens;
      left = met.reduce((rest, place) => Math.max(rest - claims[place].tokens, 0), left);
      open = unmet;
    }
  }

  const tokensOf = ({ eligible, standsFor }, { tokens }) => eligible.reduce((sum, place) => sum + tokens[place], 0) * standsFor;

  /** How many windows of each category a cut takes: a share of each, tokens of all, or as many as the run took. */
  function counts({ categories, windows }, { cut, ratio, budget }) {
    switch (cut) {
      case "ratio":
        return categories.map((category) => takes(category.ratio ?? ratio, category.kept));
      case "tokens": {
        const claims = categories.map((category) => ({ weight: category.weight, tokens: tokensOf(category, windows) }));
        const shares = shareOut(budget, claims);
        return categories.map(({ eligible, standsFor }, number) => fits(eligible, windows.tokens, standsFor, shares[number]));
      }
      default:
        return categories.map((category) => category.taken);
    }
  }

  /** What a cut selects. */
  function select(report, cut) {
    const selected = new Uint8Array(report.windows.count);
    counts(report, cut).forEach((count, number) => {
      const category = report.categories[number];
      const taken = category.eligible.subarray(0, count);
      taken.forEach((place) => (selected[place] = 1));
      category.cut = taken.length > 0 ? report.windows.scores[taken[taken.length - 1]] : null;
    });
    return selected;
  }

  /* Elements: texts are set as texts, never as markup. */

  function element(name, text, properties = {}) {
    const made = Object.assign(document.createElement(name), properties);
    made.append(text);
    return made;
  }

  function row(head, cells) {
    const line = document.createElement("tr");
    line.append(element("th", head, { scope: "row" }), ...cells.map((cell) => element("td", cell)));
    return line;
  }

  const isolated = (text) => element("bdi", text);

  /** A picture of lines and boxes, as wide as 100. */
  function strip(shapes) {
    const svg = (name, properties) => {
      const made = document.createElementNS("http://www.w3.org/2000/svg", name);
      for (const [key, value] of Object.entries(properties)) made.setAttribute(key, value);
      return made;
    };
    const picture = svg("svg", { class: "strip", viewBox: "0 0 100 10", preserveAspectRatio: "none", "aria-hidden": "true" });
    picture.append(...shapes.map(([kind, from, to]) => svg("rect", { class: kind, x: from, width: Math.max(to - from, 0), height: 10, y: 0 })));
    return picture;
  }

  const percent = (share, digits = 1) => `${(100 * share).toFixed(digits)}%`;
  /** A percentage as a share, so that 30% is 0.3. */
  const shareOf = (percentage) => Number((percentage / 100).toFixed(6));
  const score = (value) => (value === null ? "none" : value.toFixed(3));
  const strength = (value) => (value !== 0 && Math.abs(value) < 1e-3 ? value.toExponential(2) : value.toFixed(4));

  /* The page */

  function start(report) {
    const { windows, categories } = report;
    const state = { cut: "taken", ratio: 0, budget: 0, alpha: report.alpha, isRun: true, sort: "score", isDescending: true, rows: ROWS, selected: windows.taken };
    const textsByKey = new Map(report.texts.map((text) => [JSON.stringify([text.category, text.id]), text]));
    const idOf = (place) => windows.ids?.[place] ?? `window ${place + 1}`;
    const nameOf = (place) => categories[windows.categoryOf[place]].name;
    const textOf = (place) => textsByKey.get(JSON.stringify([nameOf(place), idOf(place)]));

    async function openText(text) {
      const content = await (await unpack(text.text)).text();
      find("reader-title").textContent = text.id;
      const isWhole = text.shown === text.characters;
      const extent = isWhole ? "whole" : `the first ${whole(text.shown)} of ${whole(text.characters)} characters`;
      find("reader-place").textContent = `${text.source}: ${extent}`;
      find("reader-text").textContent = content;
      showDistances(text);
      find("reader").showModal();
      find("reader").scrollTop = 0;
    }

    /** The far attention of a window by distance; buckets begin at powers of two. */
    function showDistances({ distance_profile: profile, min_distance: minDistance }) {
      const isMeasured = profile.length > 0;
      find("distances").hidden = !isMeasured;
      find("no-distances").hidden = isMeasured;
      const largest = Math.max(...profile);
      const lines = profile.map((share, bucket) => {
        const [first, last] = bucket === 0 ? [0, 0] : [2 ** (bucket - 1), 2 ** bucket - 1];
        const [isFar, isPartlyFar] = [first >= minDistance, last >= minDistance];
        const range = first === last ? whole(first) : bucket === profile.length - 1 ? `${whole(first)} and more` : `${whole(first)} to ${whole(last)}`;
        return row(range, [percent(share, 2), isFar ? "far" : isPartlyFar ? "partly far" : "", strip([[isPartlyFar ? "taken" : "bar", 0, (100 * share) / largest]])]);
      });
      find("distances").querySelector("tbody").replaceChildren(...lines);
    }

    function opener(label, text) {
      const button = element("button", label, { type: "button", className: "open" });
      button.addEventListener("click", () => openText(text));
      return button;
    }

    function tellBasis() {
      const which = report.otherCategories > 0 ? `Of the ${whole(categories.length)} largest categories. ` : "";
      const total = categories.reduce((sum, category) => sum + category.windows, 0);
      const limit = report.maxPerDocument === null ? "" : ` At most ${report.maxPerDocument} of a document are taken, as in the run.`;
      find("explore-basis").textContent = report.isSample
        ? `${which}An estimate, from a sample of ${whole(windows.count)} of ${whole(total)} windows, evenly spaced in the order of their ranks.${limit}`
        : `${which}Exact: all ${whole(total)} windows are in this page, and are ranked as the run ranks them.${limit}`;
    }

    function showOutcome() {
      const totals = [0, 0, 0, 0, 0, 0];
      const lines = categories.map((category) => {
        const counts = [0, 0, 0, 0, 0];
        for (let place = category.start; place < category.end; place += 1) {
          const [before, now] = [windows.taken[place], state.selected[place]];
          counts[0] += before;
          counts[1] += now;
          counts[2] += now * windows.tokens[place];
          counts[3] += now > before;
          counts[4] += before > now;
        }
        const shown = [category.windows, ...counts.map((count) => count * category.standsFor)];
        shown.forEach((count, column) => (totals[column] += count));
        return row(isolated(category.name), [...shown.map(whole), score(category.cut)]);
      });
      find("outcome").tBodies[0].replaceChildren(...lines);
      find("outcome").tFoot.replaceChildren(row("all", [...totals.map(whole), ""]));
      const share = totals[0] > 0 ? totals[2] / totals[0] : 0;
      const isTaken = state.cut === "taken";
      find("ratio-shown").textContent = isTaken ? `as many as the run took (${percent(share)})` : percent(state.cut === "ratio" ? state.ratio : share);
      find("budget-shown").textContent = isTaken ? `as many as the run took (${whole(totals[3])})` : whole(state.cut === "tokens" ? state.budget : totals[3]);
      find("alpha-shown").textContent = state.alpha.toString();
      if (state.cut !== "ratio") find("ratio").value = 100 * share;
      if (state.cut !== "tokens") find("budget").value = totals[3];
      find("alpha").value = state.alpha;
    }

    /** The scores of a category by source, beside its cut. */
    function showSources({ start, end, order, cut, standsFor }) {
      const bySource = new Map();
      // Scores come best first.
      for (const place of order) {
        const source = windows.sources[place];
        if (!bySource.has(source)) bySource.set(source, { scores: [], selected: 0 });
        const found = bySource.get(source);
        found.scores.push(windows.scores[place]);
        found.selected += state.selected[place];
      }
      const [highest, lowest] = [windows.scores[order[0]], windows.scores[order[order.length - 1]]];
      const across = (score) => (highest > lowest ? (100 * (score - lowest)) / (highest - lowest) : 50);
      const line = (name, scores, selected) => {
        const quantile = (share) => scores[Math.round((1 - share) * (scores.length - 1))];
        const [least, low, median, high, most] = [0.05, 0.25, 0.5, 0.75, 0.95].map(quantile);
        const at = (kind, score, width) => [kind, across(score) - width / 2, across(score) + width / 2];
        const picture = strip([["whisker", across(least), across(most)], ["box", across(low), across(high)], at("median", median, 0.8), ...(cut === null ? [] : [at("cut", cut, 0.5)])]);
        return row(name, [whole(scores.length * standsFor), whole(selected * standsFor), percent(selected / scores.length), score(median), picture]);
      };
      const all = Array.from(order, (place) => windows.scores[place]);
      const selectedOfAll = state.selected.subarray(start, end).reduce((sum, selected) => sum + selected, 0);
      const sources = [...bySource].sort(([a, { scores: ofA }], [b, { scores: ofB }]) => ofB.length - ofA.length || a - b);
      const lines = sources.slice(0, SOURCES).map(([source, { scores, selected }]) => line(isolated(report.sources[source] ?? "all other sources"), scores, selected));
      find("sources").tBodies[0].replaceChildren(...(order.length > 0 ? [line("all sources", all, selectedOfAll), ...lines] : []));
      const omitted = sources.length - lines.length;
      find("sources-omitted").textContent = omitted > 0 ? `The ${whole(lines.length)} sources with the most windows; ${whole(omitted)} more are not shown.` : "";
    }

    const kinds = {
      all: () => true,
      selected: (place) => state.selected[place] === 1,
      left: (place) => state.selected[place] === 0,
      new: (place) => state.selected[place] > windows.taken[place],
      dropped: (place) => state.selected[place] < windows.taken[place],
      text: (place) => textOf(place) !== undefined,
    };

    /* Windows are in the order of category and id already. */
    const keys = {
      id: (place) => place,
      category: (place) => windows.categoryOf[place],
      score: (place) => windows.scores[place],
      strength: (place) => windows.strengths[place],
      uniformity: (place) => windows.uniformities[place],
      tokens: (place) => windows.tokens[place],
      selected: (place) => state.selected[place],
    };

    function showWindows() {
      const [words, kind, key] = [find("filter").value.toLowerCase(), kinds[find("kind").value], keys[state.sort]];
      const matches = (place) => words === "" || idOf(place).toLowerCase().includes(words);
      const places = [];
      for (let place = 0; place < windows.count; place += 1) if (kind(place) && matches(place)) places.push(place);
      const sign = state.isDescending ? -1 : 1;
      places.sort((a, b) => sign * (key(a) - key(b)) || a - b);
      const lines = places.slice(0, state.rows).map((place) => {
        const text = textOf(place);
        const id = text === undefined ? isolated(idOf(place)) : opener(isolated(idOf(place)), text);
        return row(id, [
          isolated(nameOf(place)),
          score(windows.scores[place]),
          strength(windows.strengths[place]),
          windows.uniformities[place].toExponential(2),
          whole(windows.tokens[place]),
          state.selected[place] ? "yes" : "no",
        ]);
      });
      find("windows").tBodies[0].replaceChildren(...lines);
      find("windows-shown").textContent = `${whole(lines.length)} of ${whole(places.length)} shown`;
      find("more").hidden = lines.length === places.length;
      for (const button of document.querySelectorAll("[data-sort]")) {
        const direction = state.isDescending ? "descending" : "ascending";
        button.parentElement.ariaSort = button.dataset.sort === state.sort ? direction : "none";
      }
    }

    const charts = chartsOf(report, state);

    function update() {
      state.selected = state.isRun ? windows.taken : select(report, state);
      if (state.isRun) for (const category of categories) category.cut = category.runCut;
      showOutcome();
      showWindows();
      showCategory();
    }

    function showCategory() {
      const category = categories[find("category").value];
      if (category === undefined) return;
      charts.draw(category);
      showSources(category);
    }

    /** A field for the category's own share of windows or weight in a budget. */
    function ownField(category, cut, key, properties) {
      const field = element("input", "", { type: "number", min: 0, step: "any", ...properties });
      field.dataset.cut = cut;
      field.addEventListener("input", () => {
        const value = field.value === "" ? null : Number(field.value);
        category[key] = cut === "ratio" ? value && shareOf(value) : (value ?? 1);
        cutBy(cut);
      });
      return field;
    }

    function ownFields(category) {
      const label = element("label", isolated(category.name));
      const { ratio, weight } = category;
      label.append(
        ownField(category, "ratio", "ratio", { max: 100, placeholder: "as all", value: ratio === null ? "" : Number((100 * ratio).toFixed(4)) }),
        ownField(category, "tokens", "weight", { placeholder: "1", value: weight === 1 ? "" : weight }),
      );
      return label;
    }

    function showControls() {
      for (const control of document.querySelectorAll("#controls [data-cut]")) control.hidden = control.dataset.cut !== find("by").value;
    }

    function cutBy(cut) {
      if (cut === "ratio") state.ratio = shareOf(find("ratio").value);
      if (cut === "tokens") state.budget = Number(find("budget").value);
      Object.assign(state, { cut, isRun: false });
      schedule();
    }

    /* A slider moves more often than the screen is drawn. */
    let isDue = false;
    function schedule() {
      if (isDue) return;
      isDue = true;
      requestAnimationFrame(() => {
        isDue = false;
        update();
      });
    }

    function weigh(alpha) {
      if (alpha === state.alpha) return;
      state.alpha = alpha;
      for (const category of categories) rank(report, category, alpha);
    }

    find("by").addEventListener("input", showControls);
    find("ratio").addEventListener("input", () => cutBy("ratio"));
    find("budget").addEventListener("input", () => cutBy("tokens"));
    find("alpha").addEventListener("input", (event) => {
      weigh(Number(event.target.value));
      state.isRun = false;
      schedule();
    });
    find("as-run").addEventListener("click", () => {
      weigh(report.alpha);
      Object.assign(state, { cut: "taken", isRun: true });
      schedule();
    });
    find("controls").addEventListener("submit", (event) => event.preventDefault());
    find("category").addEventListener("change", showCategory);
    for (const id of ["filter", "kind"]) {
      find(id).addEventListener("input", () => {
        state.rows = ROWS;
        showWindows();
      });
    }
    find("more").addEventListener("click", () => {
      state.rows += ROWS;
      showWindows();
    });
    for (const button of document.querySelectorAll("[data-sort]")) {
      button.addEventListener("click", () => {
        const isSame = state.sort === button.dataset.sort;
        const isText = ["id", "category"].includes(button.dataset.sort);
        Object.assign(state, { sort: button.dataset.sort, isDescending: isSame ? !state.isDescending : !isText });
        showWindows();
      });
    }
    for (const card of document.querySelectorAll("[data-id]")) {
      const text = textsByKey.get(JSON.stringify([card.dataset.category, card.dataset.id]));
      if (text !== undefined) card.append(opener(text.shown === text.characters ? "Open the whole text" : "Open more of the text", text));
    }
    find("other").addEventListener("change", async (event) => {
      const file = event.target.files[0];
      if (file !== undefined) await compareWith(report, file);
    });

    find("category").append(...categories.map((category) => element("option", category.name, { value: category.number })));
    find("own").append(...categories.map(ownFields));
    find("own-cuts").hidden = categories.length < 2;
    find("budget").max = categories.reduce((sum, category) => sum + tokensOf(category, windows), 0);
    showControls();
    find("alpha").max = Math.max(2, 2 * report.alpha);
    find("explore").hidden = false;
    tellBasis();
    update();
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => charts.restyle(categories[find("category").value]));
    addEventListener("resize", () => charts.resize());
  }

  /* Charts */

  function chartsOf({ windows }, state) {
    let scatter = null;
    let histogram = null;
    let cut = null;
    const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
    const size = (id) => ({ width: Math.max(find(id).clientWidth, 200), height: 300 });
    const axis = (label, values) => ({
      label,
      stroke: colour("--soft"),
      grid: { stroke: colour("--line"), width: 1 },
      ticks: { stroke: colour("--line"), width: 1 },
      size: 62,
      ...(values && { values: (_, ticks) => ticks.map(values) }),
    });
    /** Squares, since one path of 50,000 circles takes seconds to fill. */
    const marks = (label, fill, size) => ({
      label,
      fill,
      stroke: fill,
      width: 0,
      points: { show: false },
      paths(plot, series) {
        const { ctx, bbox, data } = plot;
        const [across, up, side] = [data[0], data[series], size * devicePixelRatio];
        const [x, y] = ["x", "y"].map((axis) => [plot.scales[axis].min, plot.scales[axis].max - plot.scales[axis].min]);
        ctx.save();
        ctx.beginPath();
        ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
        ctx.clip();
        ctx.fillStyle = fill;
        for (let place = 0; place < across.length; place += 1) {
          if (up[place] === null) continue;
          const left = bbox.left + ((across[place] - x[0]) / x[1]) * bbox.width;
          const top = bbox.top + (1 - (up[place] - y[0]) / y[1]) * bbox.height;
          ctx.fillRect(left - side / 2, top - side / 2, side, side);
        }
        ctx.restore();
        return null;
      },
    });
    const bars = (label, fill) => ({
      label,
      fill,
      stroke: fill,
      width: 0,
      points: { show: false },
      paths: uPlot.paths.bars({ size: [1], align: 1, gap: 1 }),
    });

    function points({ start, end }) {
      const places = Uint32Array.from({ length: end - start }, (_, place) => start + place);
      places.sort((a, b) => windows.strengths[a] - windows.strengths[b]);
      const of = (selected) => Array.from(places, (place) => (state.selected[place] === selected ? windows.uniformities[place] : null));
      return [Array.from(places, (place) => windows.strengths[place]), of(0), of(1)];
    }

    function heights({ start, end, order, cut }) {
      if (order.length === 0) return [[], [], []];
      const [largest, smallest] = [windows.scores[order[0]], windows.scores[order[order.length - 1]]];
      const width = (largest - smallest || 1) / BARS;
      // A bar begins at the cut, so that none is on both sides.
      const origin = cut ?? smallest;
      const first = Math.floor((smallest - origin) / width);
      const count = Math.floor((largest - origin) / width) - first + 1;
      const [all, selected] = [new Array(count).fill(0), new Array(count).fill(0)];
      for (let place = start; place < end; place += 1) {
        const bar = Math.floor((windows.scores[place] - origin) / width) - first;
        all[bar] += 1;
        selected[bar] += state.selected[place];
      }
      return [all.map((_, bar) => origin + (first + bar) * width), all, selected];
    }

    function drawCut(plot) {
      if (cut === null) return;
      const { ctx, bbox } = plot;
      const across = plot.valToPos(cut, "x", true);
      ctx.save();
      ctx.strokeStyle = colour("--ink");
      ctx.lineWidth = devicePixelRatio;
      ctx.beginPath();
      ctx.moveTo(across, bbox.top);
      ctx.lineTo(across, bbox.top + bbox.height);
      ctx.stroke();
      ctx.restore();
    }

    function make(category) {
      const scales = { x: { time: false } };
      const [other, selected] = [colour("--other"), colour("--selected")];
      const exponential = (value) => value.toExponential(1);
      const options = (id, axes, series, hooks) => ({ ...size(id), scales, axes, series, hooks, legend: { live: false } });
      scatter = new uPlot(
        options("plot-scatter", [axis("DS"), axis("DU", exponential)], [{}, marks("not selected", other, 3), marks("selected", selected, 4)], {}),
        points(category),
        find("plot-scatter"),
      );
      histogram = new uPlot(
        options("plot-scores", [axis("LDS"), axis("windows")], [{}, bars("not selected", other), bars("selected", selected)], { draw: [drawCut] }),
        heights(category),
        find("plot-scores"),
      );
    }

    return {
      draw(category) {
        if (category === undefined) return;
        cut = category.cut;
        if (scatter === null) return make(category);
        scatter.setData(points(category));
        histogram.setData(heights(category));
      },
      restyle(category) {
        scatter?.destroy();
        histogram?.destroy();
        scatter = null;
        this.draw(category);
      },
      resize() {
        scatter?.setSize(size("plot-scatter"));
        histogram?.setSize(size("plot-scores"));
      },
    };
  }

  /* Two runs */

  async function otherReport(file) {
    // Only the data is taken, which has no "<" in it: the file is never read as a page.
    const data = / id="data">([^<]*)</.exec(await file.text());
    if (data === null) throw new Error("there are no windows in it");
    return load(data[1]);
  }

  async function compareWith(report, file) {
    const told = find("other-told");
    find("comparison").hidden = find("differences").hidden = true;
    let other;
    try {
      other = await otherReport(file);
    } catch (error) {
      told.textContent = `${file.name} cannot be read as a report: ${error.message}`;
      return;
    }
    if (report.windows.ids === null || other.windows.ids === null) {
      told.textContent = "The ids of one of the runs had no room in its page, so that their windows cannot be matched.";
      return;
    }
    const sample = report.isSample || other.isSample ? " Of one of them the page has a sample only: windows that are not in it count as missing." : "";
    told.textContent = `Beside ${other.title}, by what each run took.${sample}`;
    const { lines, differences } = compare(report, other);
    find("comparison").querySelector("tbody").replaceChildren(...lines.map(([name, counts]) => row(isolated(name), counts.map(whole))));
    const shown = differences.sort((a, b) => b.apart - a.apart).slice(0, ROWS).map(({ id, name, by, here, there }) => row(isolated(id), [isolated(name), by, score(here), score(there)]));
    find("differences").querySelector("tbody").replaceChildren(...shown);
    find("comparison").hidden = false;
    find("differences").hidden = shown.length === 0;
    if (differences.length > shown.length) told.textContent += ` The ${whole(shown.length)} largest of ${whole(differences.length)} differences are listed.`;
  }

  /** What each run took of the windows that both have, by category. */
  function compare(report, other) {
    const theirs = new Map(other.windows.ids.map((id, place) => [JSON.stringify([other.categories[other.windows.categoryOf[place]].name, id]), place]));
    const lines = new Map();
    const line = (name) => lines.get(name) ?? lines.set(name, [0, 0, 0, 0, 0, 0]).get(name);
    const differences = [];
    report.windows.ids.forEach((id, place) => {
      const { name } = report.categories[report.windows.categoryOf[place]];
      const counts = line(name);
      const key = JSON.stringify([name, id]);
      const match = theirs.get(key);
      if (match === undefined) {
        counts[4] += 1;
        return;
      }
      theirs.delete(key);
      const [ours, theirTaken] = [report.windows.taken[place], other.windows.taken[match]];
      counts[0] += 1;
      counts[1] += ours & theirTaken;
      counts[2] += ours > theirTaken;
      counts[3] += theirTaken > ours;
      if (ours !== theirTaken) {
        const [here, there] = [report.runScores[place], other.runScores[match]];
        const apart = Math.abs(here - there);
        differences.push({ id, name, by: ours ? "this one" : "the other", here, there, apart });
      }
    });
    for (const place of theirs.values()) line(other.categories[other.windows.categoryOf[place]].name)[5] += 1;
    return { lines: [...lines], differences };
  }

  load(find("data").textContent).then(start);
})();
