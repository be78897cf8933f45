// The report in a browser: its counts against the library's own selections, hostile texts, 50,000 windows, two runs.
//
//     node check_report.mjs LONGATTN MODEL FOLDER

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { chromium } from "playwright-core";

const [longattn, model, folder] = process.argv.slice(2).map((path) => resolve(path));
const HOSTILE = `</script><script>document.title = "hurt"</script><img src="https://example.org/x" onerror="document.title = 'hurt'"><!--`;
const MOST_BYTES = 5_000_000;
/** Far more than a step takes, since machines of tests are busy: it tells a page that hangs. */
const MOST_MILLISECONDS = 10_000;

const run = (...words) => execFileSync(longattn, words, { stdio: ["ignore", "ignore", "inherit"] });
const lines = (path) => readFileSync(path, "utf8").trimEnd().split("\n").map((line) => JSON.parse(line));
const report = (name) => join(folder, name, "report.html");

/** Numbers that are the same each time. */
function random(seed) {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

function corpus(name, documents, length, hostile) {
  const draw = random(7);
  const text = (number) => {
    const words = Array.from({ length }, () => "abcdefgh \n"[draw(10)]).join("");
    return number % 7 === 0 && hostile !== "" ? hostile + words : words;
  };
  const document = (number) => ({
    id: `${hostile}document ${number}`,
    category: number % 3 === 0 ? `${hostile.slice(0, 40)}prose` : "code",
    text: text(number),
  });
  const path = join(folder, `${name}.jsonl`);
  writeFileSync(path, Array.from({ length: documents }, (_, number) => JSON.stringify(document(number)) + "\n").join(""));
  return path;
}

function job(name, inputs, window, ...settings) {
  run("run", "--quiet", "--model", model, "--window", String(window), ...settings, ...[inputs].flat(), "-o", join(folder, name));
}

/** Counts by category, and which windows were taken, by the library. */
function taken(name) {
  const windows = lines(join(folder, name, "selected.jsonl"));
  return new Set(windows.map(({ category, id }) => JSON.stringify([category, id])));
}

/** A page whose errors, messages and requests are kept. */
async function open(browser, path) {
  const page = await browser.newPage({ viewport: { width: 1100, height: 900 } });
  page.troubles = [];
  page.on("console", (message) => page.troubles.push(message.text()));
  page.on("pageerror", (error) => page.troubles.push(error.stack));
  page.on("dialog", (dialog) => page.troubles.push(dialog.message()));
  page.on("request", (request) => {
    if (request.url() !== pathToFileURL(path).href) page.troubles.push(request.url());
  });
  await page.goto(pathToFileURL(path).href);
  await page.waitForSelector("#explore:not([hidden])");
  return page;
}

async function close(page) {
  assert.deepEqual(page.troubles, []);
  assert.ok(!(await page.title()).includes("hurt"));
  await page.close();
}

/** Moves a slider, and tells how long the page took to follow. */
const slide = (page, id, value) =>
  page.evaluate(
    async ([id, value]) => {
      const slider = document.getElementById(id);
      slider.value = value;
      const begun = performance.now();
      slider.dispatchEvent(new Event("input"));
      await new Promise((drawn) => requestAnimationFrame(() => setTimeout(drawn)));
      return performance.now() - begun;
    },
    [id, value],
  );

/** The rows of a table by their heads. */
async function table(page, selector) {
  const rows = await page.locator(`${selector} tr`).evaluateAll((rows) => rows.map((row) => [...row.cells].map((cell) => cell.textContent)));
  return new Map(rows.map(([head, ...cells]) => [head, cells.map((cell) => cell.replaceAll(",", ""))]));
}

async function assertOutcome(page, before, now, context) {
  const rows = await table(page, "#outcome tbody");
  assert.ok(rows.size === 2, context);
  for (const [name, [, tookBefore, takesNow, , fresh, dropped]] of rows) {
    const of = (windows) => [...windows].filter((key) => JSON.parse(key)[0] === name);
    const [old, current] = [of(before), of(now)];
    const expected = [old.length, current.length, current.filter((key) => !before.has(key)).length, old.filter((key) => !now.has(key)).length];
    assert.deepEqual([tookBefore, takesNow, fresh, dropped].map(Number), expected, `${context}: ${name}`);
  }
}

/** Other cuts in the page are those of the library. */
async function checkCuts(browser, name, ...settings) {
  const page = await open(browser, report(name));
  assert.match(await page.locator("#explore-basis").textContent(), /^Exact/);
  const before = taken(name);
  await assertOutcome(page, before, before, "as run");
  for (const [ratio, alpha] of [[0.5, 0.5], [0.29, 0], [0.1, 1.37], [1, 2], [0, 0.5]]) {
    const other = `${name}-other`;
    if (ratio > 0) run("select", "--quiet", join(folder, name), "--ratio", String(ratio), "--alpha", String(alpha), ...settings, "-o", join(folder, other));
    await slide(page, "alpha", alpha);
    await slide(page, "ratio", 100 * ratio);
    await assertOutcome(page, before, ratio === 0 ? new Set() : taken(other), `ratio ${ratio}, alpha ${alpha}`);
  }
  await page.click("#as-run");
  await slide(page, "ratio", 25);
  await page.click("#as-run");
  await page.waitForFunction(() => document.getElementById("ratio-shown").textContent.startsWith("as many"));
  await assertOutcome(page, before, before, "as run again");
  await close(page);
}

const drawn = (page) => page.evaluate(() => new Promise((drawn) => requestAnimationFrame(() => setTimeout(drawn))));

/** Fills in what a category alone is to have. */
async function fillOwn(page, category, value) {
  await page.locator("#own label", { hasText: category }).locator("input:visible").fill(value);
  await drawn(page);
}

/** Budgets for all categories, and cuts of single ones, are those of the library. */
async function checkBudgetsAndOwnCuts(browser, name, ...settings) {
  const page = await open(browser, report(name));
  const [before, other] = [taken(name), `${name}-other`];
  const all = Number(await page.locator("#budget").getAttribute("max"));
  const select = (...words) => {
    run("select", "--quiet", join(folder, name), ...words, ...settings, "-o", join(folder, other));
    return taken(other);
  };
  assert.ok(!(await page.locator("#budget").isVisible()));
  await page.selectOption("#by", "tokens");
  assert.ok(!(await page.locator("#ratio").isVisible()));
  await page.click("#own-cuts summary");
  const sizes = new Set();
  for (const [share, weight, alpha] of [[0.3, "", 0.5], [0.3, "3", 0.5], [0.01, "0.5", 1.37], [0.8, "9", 0], [1, "", 0.5]]) {
    const budget = Math.floor(all * share);
    const weights = weight === "" ? [] : ["--category-weights", `code=${weight}`];
    await fillOwn(page, "code", weight);
    await slide(page, "alpha", alpha);
    await slide(page, "budget", budget);
    const now = select("--total-token-budget", String(budget), ...weights, "--alpha", String(alpha));
    await assertOutcome(page, before, now, `budget ${budget}, code=${weight}, alpha ${alpha}`);
    sizes.add(now.size);
  }
  assert.ok(sizes.size >= 3, `the cuts differ: ${[...sizes]}`);
  await page.selectOption("#by", "ratio");
  await slide(page, "alpha", 0.5);
  for (const [ratio, own] of [[0.4, 0.1], [0.4, 0.925], [0.1, 0]]) {
    await fillOwn(page, "code", String(100 * ratio));
    await fillOwn(page, "code", String(100 * own));
    await slide(page, "ratio", 100 * ratio);
    const cut = own === 0 ? "count:0" : `ratio:${own}`;
    await assertOutcome(page, before, select("--ratio", String(ratio), "--category-cuts", `code=${cut}`, "--alpha", "0.5"), `ratio ${ratio}, code ${own}`);
  }
  await page.click("#as-run");
  await drawn(page);
  await assertOutcome(page, before, before, "as run again");
  await close(page);
}

/** Scores by source count every window, and move with the cut. */
async function checkSources(browser, name, files) {
  const page = await open(browser, report(name));
  const scores = lines(join(folder, name, "scores.jsonl"));
  const categories = [...new Set(scores.map(({ category }) => category))].toSorted();
  for (const category of categories) {
    await page.selectOption("#category", { label: category });
    const rows = await table(page, "#sources tbody");
    const now = [...taken(name)].filter((key) => JSON.parse(key)[0] === category).length;
    const of = (file) => scores.filter((score) => score.category === category && score.source.includes(file)).length;
    assert.deepEqual(rows.get("all sources").slice(0, 2).map(Number), [of(""), now], category);
    const column = (number) => files.map((file) => Number(rows.get(file)?.[number] ?? 0));
    assert.deepEqual(column(0), files.map(of), category);
    assert.equal(column(1).reduce((sum, count) => sum + count), now, category);
  }
  await slide(page, "ratio", 100);
  const rows = await table(page, "#sources tbody");
  for (const [windows, takes, share] of rows.values()) assert.deepEqual([takes, share], [windows, "100.0%"]);
  assert.equal(await page.locator("#sources .strip .cut").count(), rows.size);
  await close(page);
}

/** Attention by distance is that of the scores where it was measured, and the page says how it would be where not. */
async function checkDistances(browser, measured, unmeasured) {
  const scores = new Map(lines(join(folder, measured, "scores.jsonl")).map((score) => [score.id, score]));
  const openFirst = async (name) => {
    const page = await open(browser, report(name));
    await page.selectOption("#kind", "text");
    await page.locator("#windows .open").first().click();
    await page.waitForSelector("#reader[open]");
    await page.click("#reader-attention summary");
    return page;
  };
  const page = await openFirst(measured);
  const { distance_profile: profile, min_distance: minDistance, dependency_strength: strength } = scores.get(await page.locator("#reader-title").textContent());
  const rows = [...(await table(page, "#distances tbody"))];
  assert.deepEqual(rows.map(([, [share]]) => share), profile.map((share) => `${(100 * share).toFixed(2)}%`));
  const far = rows.map(([, [, told]]) => told);
  assert.ok(far.includes("far") && far[0] === "" && minDistance === 16, `${far}, ${minDistance}`);
  const sum = profile.filter((_, bucket) => far[bucket] === "far").reduce((sum, share) => sum + share, 0);
  assert.ok(Math.abs(sum - strength) < 1e-6, "from a power of two on, far attention is the dependency strength");
  assert.ok(!(await page.locator("#no-distances").isVisible()));
  await close(page);
  const other = await openFirst(unmeasured);
  assert.ok((await other.locator("#no-distances").isVisible()) && !(await other.locator("#distances").isVisible()));
  await close(other);
}

async function checkTable(browser, name) {
  const page = await open(browser, report(name));
  const scores = lines(join(folder, name, "scores.jsonl"));
  const column = async (number) => {
    const cells = await page.locator(`#windows tbody tr > :nth-child(${number})`).allTextContents();
    return cells.map((cell) => Number(cell.replaceAll(",", "")));
  };
  for (const order of [(a, b) => b - a, (a, b) => a - b]) {
    await page.click("[data-sort=strength]");
    const shown = await column(4);
    assert.equal(shown.length, 200);
    assert.deepEqual(shown, shown.toSorted(order));
    assert.equal(shown[0], Number(scores.map((score) => score.dependency_strength).toSorted(order)[0].toFixed(4)));
  }
  await page.fill("#filter", "DOCUMENT 12#");
  const expected = scores.filter(({ id }) => id.includes("document 12#")).length;
  assert.equal(await page.locator("#windows tbody tr").count(), expected);
  assert.equal(await page.locator("#windows-shown").textContent(), `${expected} of ${expected} shown`);
  await page.fill("#filter", "");
  await page.click("#more");
  assert.equal(await page.locator("#windows tbody tr").count(), 400);
  await close(page);
}

/** A text that opens is the window's, to the last character, and is not markup. */
async function checkTexts(browser, name) {
  const page = await open(browser, report(name));
  const windows = new Map(lines(join(folder, name, "selected.jsonl")).map((window) => [window.id, window.content]));
  await page.selectOption("#kind", "text");
  const ids = await page.locator("#windows .open").allTextContents();
  assert.ok(ids.length > 10 && ids.some((id) => id.startsWith(HOSTILE)), `${ids.length} texts`);
  let compared = 0;
  for (const [place, id] of ids.entries()) {
    await page.locator("#windows .open").nth(place).click();
    await page.waitForSelector("#reader[open]");
    assert.equal(await page.locator("#reader-title").textContent(), id);
    assert.match(await page.locator("#reader-place").textContent(), /: whole$/);
    if (windows.has(id)) {
      assert.equal(await page.locator("#reader-text").textContent(), windows.get(id));
      compared += 1;
    }
    await page.click("#reader button");
  }
  assert.ok(compared > 5, `${compared} texts compared`);
  assert.equal(await page.locator("li[data-id] .open").count(), await page.locator("li[data-id]").count());
  assert.equal(await page.locator("main img, main script").count(), 0);
  assert.deepEqual(await page.locator(".examples h3").allTextContents().then((heads) => [...new Set(heads)]), [
    "Highest scores",
    "Just above the cut",
    "Just below the cut",
    "Lowest scores",
  ]);
  await close(page);
}

async function checkTwoRuns(browser, name, other) {
  const page = await open(browser, report(name));
  await page.setInputFiles("#other", report(other));
  await page.waitForSelector("#comparison:not([hidden])");
  const [ours, theirs] = [taken(name), taken(other)];
  for (const [category, [, both, here, there, ...missing]] of await table(page, "#comparison tbody")) {
    const count = (windows, isOther) => [...windows].filter((key) => JSON.parse(key)[0] === category && isOther(key)).length;
    const expected = [count(ours, (key) => theirs.has(key)), count(ours, (key) => !theirs.has(key)), count(theirs, (key) => !ours.has(key))];
    assert.deepEqual([both, here, there].map(Number), expected, category);
    assert.deepEqual(missing, ["0", "0"]);
    assert.ok(expected[1] > 0, "the runs differ");
  }
  await page.setInputFiles("#other", join(folder, `${name}.jsonl`));
  await page.waitForFunction(() => document.getElementById("other-told").textContent.includes("cannot be read"));
  await close(page);
}

async function checkMany(browser, name) {
  assert.ok(statSync(report(name)).size < MOST_BYTES);
  const page = await open(browser, report(name));
  assert.match(await page.locator("#explore-basis").textContent(), /^Exact: all 50,000 windows/);
  const steps = [];
  for (let ratio = 20; ratio < 40; ratio += 1) steps.push(await slide(page, "ratio", ratio));
  for (let alpha = 0.1; alpha < 1; alpha += 0.1) steps.push(await slide(page, "alpha", alpha));
  steps.sort((a, b) => a - b);
  const median = steps[Math.floor(steps.length / 2)];
  console.log(`50,000 windows: a step of a slider took ${median.toFixed(0)} ms, and at most ${steps.at(-1).toFixed(0)} ms`);
  assert.ok(median < MOST_MILLISECONDS);
  await close(page);
}

async function checkLooks(browser, name) {
  const page = await open(browser, report(name));
  const paper = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  const light = await paper();
  await page.emulateMedia({ colorScheme: "dark" });
  assert.notEqual(await paper(), light);
  assert.equal(await page.locator("#plot-scatter canvas").count(), 1);
  await page.emulateMedia({ media: "print" });
  assert.equal(await paper(), light);
  assert.ok(!(await page.locator("#controls").isVisible()) && (await page.locator("#outcome").isVisible()));
  await close(page);
}

rmSync(folder, { recursive: true, force: true });
mkdirSync(folder, { recursive: true });
const small = corpus("small", 150, 400, HOSTILE);
job("small", small, 60);
job("small-min-max", small, 60, "--standardize", "min-max", "--alpha", "2", "--max-per-document", "2");
job("sources", [corpus("first", 40, 300, ""), corpus("second", 60, 200, "other ")], 64, "--profile", "true", "--min-distance", "16");
job("many", corpus("many", 10_000, 100, ""), 20);

const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", chromiumSandbox: false });
try {
  await checkCuts(browser, "small", "--standardize", "z-score");
  await checkCuts(browser, "small-min-max", "--standardize", "min-max", "--max-per-document", "2");
  await checkBudgetsAndOwnCuts(browser, "small", "--standardize", "z-score");
  await checkBudgetsAndOwnCuts(browser, "small-min-max", "--standardize", "min-max", "--max-per-document", "2");
  await checkSources(browser, "sources", ["first.jsonl", "second.jsonl"]);
  await checkDistances(browser, "sources", "small");
  await checkTable(browser, "small");
  await checkTexts(browser, "small");
  await checkTwoRuns(browser, "small", "small-min-max");
  await checkLooks(browser, "small");
  await checkMany(browser, "many");
} finally {
  await browser.close();
}
console.log("The report is right in the browser.");
