/** Names with accents in one piece (NFC) and apart (NFD), as Macs write them: people and Macs can't tell them apart. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { meanings, read } from "./labelsIn.ts";
import { png, rawZip, temporaryFolder } from "./sampleFiles.ts";
import { open } from "./told.ts";
import { writeFile } from "node:fs/promises";

const { path } = temporaryFolder();

const forms = ["NFC", "NFD"] as const;
const form = fc.constantFrom(...forms);
const told = /accents in another form than in dataset\.json/;

describe("labels of names with accents", () => {
  it("are those of the very name, or else of the one in the other form, and that is said", async () => {
    const names = ["é.png", "cafés/ü.png", "o.png"];
    const written = fc.uniqueArray(
      fc.tuple(fc.nat(names.length - 1), form).map(([name, as]) => names[name]?.normalize(as) ?? ""),
      { minLength: 1, maxLength: 5 },
    );
    await fc.assert(
      fc.asyncProperty(written, written, async (images, labelled) => {
        const labels = labelled.map((name, i) => [name, i] as const);
        const expected: Record<string, number> = {};
        const guessed: string[] = [];
        for (const image of images) {
          const own = labels.find(([name]) => name === image);
          // A label of an image that is there belongs to that one alone.
          const other = labels.find(
            ([name]) => name.normalize("NFC") === image.normalize("NFC") && !images.includes(name),
          );
          const found = own ?? other;
          if (found === undefined) continue;
          expected[image] = found[1];
          if (own === undefined) guessed.push(image);
        }
        const reading = read(images, { "dataset.json": JSON.stringify({ labels: Object.fromEntries(labels) }) });
        if (Object.keys(expected).length === 0) return assert.rejects(reading, /a label for none/);
        const result = await reading;
        assert.deepEqual(meanings(result), expected);
        const notice = result.notices.find(({ what }) => told.test(what));
        assert.deepEqual([...(notice?.names ?? [])].sort(), guessed.sort());
      }),
    );
  });
});

describe("classes whose names have accents", () => {
  it("are one, in whatever form, and that is said where there are several", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(form, { minLength: 1, maxLength: 4 }), async (as) => {
        const isMixed = new Set(as).size > 1;
        const line = isMixed
          ? /^Guessed 2 \(.*\): names of classes that differ only in the form of their accents/
          : /^$/;
        const folders = as.map((each, i) => `${"café".normalize(each)}/${i}.png`);
        const inFolders = await read([...folders, "dogs/0.png"]);
        assert.deepEqual(inFolders.classNames, ["café".normalize("NFC"), "dogs"]);
        assert.match(inFolders.told.join("\n"), line);
        const images = as.map((_, i) => `${i}.png`);
        const labels = JSON.stringify({ labels: images.map((image, i) => [image, "café".normalize(as[i])]) });
        const inFile = await read(images, { "dataset.json": labels });
        assert.deepEqual(inFile.classNames, ["café".normalize("NFC")]);
        assert.match(inFile.told.join("\n"), line);
      }),
    );
  });

  it("are what an archive has as well", async () => {
    const files = forms.map((each) => [`${"Kühe".normalize(each)}/${each}.png`, png(2, 2, 3)] as const);
    await writeFile(path("mac.zip"), rawZip([...files, ["x/a.png", png(2, 2, 3)]]));
    assert.deepEqual((await open(path("mac.zip"))).dataset.classNames, ["Kühe".normalize("NFC"), "x"]);
  });
});
