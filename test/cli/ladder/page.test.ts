import assert from "node:assert/strict";
import { before, describe, it } from "node:test";
import { parseHTML } from "linkedom";
import { ladderPage } from "../../../cli/ladder/page.ts";
import type { LadderEntry, LadderResults } from "../../../cli/ladder/results.ts";
import { entryOf, resultsOf, wholeLadder } from "./syntheticResults.ts";

/** What of a page's elements the tests look at; this program is compiled without the declarations of a page's DOM. */
type Element = {
  readonly textContent: string;
  getAttribute(name: string): string | null;
  querySelectorAll(selector: string): Iterable<Element>;
};

const parsePage: (markup: string) => { readonly document: Element } = parseHTML;
const png = Uint8Array.of(137, 80, 78, 71, 1, 2, 3);

async function pageOf(results: LadderResults): Promise<{ markup: string; find: (selector: string) => Element[] }> {
  const markup = await ladderPage(results, { samplesOf: async () => png });
  const { document } = parsePage(markup);
  return { markup, find: (selector) => [...document.querySelectorAll(selector)] };
}

const sections = [
  "Rung by rung",
  "Activations",
  "Weights",
  "Effective learning rates",
  "How long to average",
  "How the best length moves",
  "Weights that want another length",
  "Training",
  "Samples",
  "How it was made",
];

function switched(switches: string, changes: Partial<LadderEntry> = {}): LadderEntry {
  return { ...entryOf("G", 0), name: `G:${switches}`, switches, ...changes };
}

describe("page of a ladder", () => {
  let page: Awaited<ReturnType<typeof pageOf>>;
  before(async () => {
    page = await pageOf(wholeLadder(2));
  });

  it("has all sections, each with a claim, a verdict and charts", () => {
    const { find } = page;
    assert.deepEqual(
      find("h2").map(({ textContent }) => textContent),
      sections,
    );
    for (const section of find("section").slice(0, 8)) {
      const [title] = section.querySelectorAll("h2");
      const texts = [...section.querySelectorAll(".finding")].map(({ textContent }) => textContent);
      assert.ok(texts.length > 0 && texts.every((text) => text.startsWith("The paper. ")), title?.textContent);
      assert.ok(texts.every((text) => /Shows here\.|Does not show here\.|Can't be told here\./.test(text)));
      assert.ok([...section.querySelectorAll("svg")].length > 0, title?.textContent);
    }
    // Largest and mean of activations and of weights, and updates: one chart a rung; with a chart of updates at the end.
    const counts = find("section").map((section) => [...section.querySelectorAll("figure")].length);
    assert.deepEqual(counts, [3, 14, 14, 8, 3, 7, 4, 2, 7, 0]);
  });

  it("is well formed and without numbers that aren't any", () => {
    const { markup } = page;
    const opened: string[] = [];
    const isVoid = (name: string): boolean => ["meta", "img", "!doctype", "br"].includes(name);
    for (const [, close = "", name = "", empty = ""] of markup.matchAll(/<(\/?)([a-z!][a-z0-9-]*)[^<>]*?(\/?)>/gi)) {
      if (close !== "") assert.equal(opened.pop(), name);
      else if (!isVoid(name) && empty === "") opened.push(name);
    }
    assert.deepEqual(opened, []);
    assert.doesNotMatch(markup, /NaN|undefined|Infinity|\bnull\b/);
  });

  it("needs nothing else: no script, no style sheet, no picture from elsewhere", () => {
    const { markup, find } = page;
    assert.deepEqual(find("script, link, iframe, object"), []);
    const sources = find("img").map((image) => image.getAttribute("src") ?? "");
    assert.equal(sources.length, 7);
    for (const source of sources) assert.equal(source, `data:image/png;base64,${Buffer.from(png).toString("base64")}`);
    assert.doesNotMatch(markup, /url\(|@import/);
    const links = find("[href]").map((link) => link.getAttribute("href") ?? "");
    assert.deepEqual(links, ["https://arxiv.org/abs/2312.02696"]);
  });

  it("lists rungs with their means and spreads beside the paper's FID", () => {
    const rows = page
      .find("tbody tr")
      .map((row) => [...row.querySelectorAll("td")].map(({ textContent }) => textContent));
    assert.deepEqual(
      rows.map(([name]) => name),
      ["A", "B", "C", "D", "E", "F", "G"],
    );
    assert.deepEqual(
      rows.map((row) => row.at(-1)),
      ["8.00", "7.24", "6.96", "3.75", "3.02", "2.71", "2.56"],
    );
    // Of 27.5 and 1.01 times as much.
    assert.equal(rows.at(-1)?.at(-2), "27.64 ± 0.19");
  });

  it("escapes every text of the results", async () => {
    const evil = `<b onclick="x">&'`;
    const entry = switched(evil, {
      samples: evil,
      groups: [{ group: evil, points: entryOf("G", 0).groups[0]?.points ?? [] }],
      updates: entryOf("G", 0).updates.map((curve) => ({ ...curve, place: `${evil}${curve.place}` })),
      finalUpdates: [{ layer: evil, value: 1 }],
    });
    const results = resultsOf([entry]);
    const { data, metric } = results;
    const { markup } = await pageOf({
      ...results,
      command: evil,
      machine: evil,
      date: evil,
      preset: evil,
      data: { ...data, name: evil },
      metric: { ...metric, features: evil },
    });
    assert.doesNotMatch(markup, /<b onclick/);
    assert.match(markup, /&lt;b onclick=/);
  });

  it("says what it lacks with one rung, switches, or nothing measured", async () => {
    const curveless = switched("groupNorm=none", {
      groups: [],
      sweeps: [],
      updates: [],
      finalUpdates: [],
      loss: { nimg: [], values: [] },
      validation: { nimg: [1000, 2000], values: [null, null] },
      activations: { mean: [], max: [] },
      weights: { mean: [], max: [] },
      best: { sigmaRel: 0.1, error: 0.3, distance: null },
    });
    for (const entries of [[], [curveless], [entryOf("C", 0), curveless]]) {
      const results = resultsOf(entries);
      const { markup, find } = await pageOf({ ...results, metric: { ...results.metric, floor: null } });
      assert.equal(find("h2").length, sections.length);
      assert.match(markup, /Needs rungs B \(or another before G\) and G|Needs rung G/);
      assert.match(markup, /Not measured here\./);
      assert.doesNotMatch(markup, /NaN|undefined|Infinity/);
    }
  });

  it("shows which picture was lost in its place", async () => {
    const samplesOf = async (path: string): Promise<Uint8Array> => {
      if (path.includes("A-")) throw new Error("gone");
      return png;
    };
    const markup = await ladderPage(resultsOf([entryOf("A", 0), entryOf("G", 0)]), { samplesOf });
    assert.match(markup, /samples\/A-seed0\.png can&#39;t be read|samples\/A-seed0\.png can't be read/);
    assert.equal([...markup.matchAll(/<img /g)].length, 1);
  });
});
