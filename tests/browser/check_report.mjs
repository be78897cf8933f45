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

function job(name, input, window, ...settings) {
  run("run", "--quiet", "--model", model, "--window", String(window), ...settings, input, "-o", join(folder, name));
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
job("many", corpus("many", 10_000, 100, ""), 20);

const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", chromiumSandbox: false });
try {
  await checkCuts(browser, "small", "--standardize", "z-score");
  await checkCuts(browser, "small-min-max", "--standardize", "min-max", "--max-per-document", "2");
  await checkTable(browser, "small");
  await checkTexts(browser, "small");
  await checkTwoRuns(browser, "small", "small-min-max");
  await checkLooks(browser, "small");
  await checkMany(browser, "many");
} finally {
  await browser.close();
}
console.log("The report is right in the browser.");
