import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import {
  createDataset,
  duplicateNote,
  type ImageDataset,
  labelNotes,
  pixelNotes,
} from "../../../diffusion/data/index.ts";

type Given = readonly number[] | readonly (readonly number[])[];

const setOf = (labels: Given, classNames: readonly string[] | null = null): ImageDataset =>
  createDataset({
    name: "data",
    channels: 1,
    resolution: 1,
    pixels: new Uint8Array(labels.length),
    labels,
    classNames,
  });

const notesOf = (labels: Given, names: readonly string[] | null = null): string =>
  labelNotes(setOf(labels, names)).join("\n");

describe("notes on labels", () => {
  it("of classes tell what looks wrong, with counts and names", () => {
    assert.equal(notesOf([0, 1, 1, 0], ["cats", "dogs"]), "");
    assert.equal(notesOf([0, 3, 0, 3], ["a", "b", "c", "d"]), "2 of 4 classes have no images: b, c");
    assert.match(notesOf([0, 0, 0, 1, 2], ["a", "b", "c"]), /^3 of 5 images are of one class, a \(60%\)$/);
    assert.equal(notesOf([0, 0, 0, 1], ["a", "b"]), "");
    assert.match(notesOf([1, 1, 1, 1, 1, 0], ["a", "b"]), /^5 of 6 images are of one class, b \(83%\)$/);
    const most = Array.from({ length: 300 }, (_, i) => (i === 0 ? 1 : 0));
    assert.match(notesOf(most, ["a", "b"]), /^299 of 300 images are of one class, a \(99%\)$/);
    const people = Array.from({ length: 30 }, (_, i) => i);
    assert.match(notesOf(people), /^30 of 30 classes have a single image each: labels are identifiers\?$/);
    assert.match(notesOf([0, 1], ["images", "masks"]), /^2 classes are called as kinds of files: images, masks$/);
    assert.match(notesOf([0, 1], ["trainA", "testA"]), /^2 classes are called as parts of a data set/);
    assert.match(notesOf([0, 0]), /^all 2 images are of one class, 0: the labels say nothing$/);
    assert.match(
      notesOf([0, 2_000_000]),
      /^1999999 of 2000001 classes have no images: labels are identifiers\? Number the 2 classes/,
    );
    const folders = Array.from({ length: 12 }, (_, i) => String(i)).sort();
    const each = folders.map((_, i) => i);
    assert.match(
      notesOf(each, folders),
      /^12 classes are called by numbers \(0, 1, 10, 11, 2, 3, \.\.\.\); in label order, class 2 is the one called 10\./,
    );
    assert.match(
      notesOf([0, 1, 2], ["cats", "test", "train"]),
      /^2 classes are called as parts of a data set: test, train$/,
    );
    assert.match(
      notesOf([0, 1, 2], ["Cats", "cats", "dogs"]),
      /^1 classes are there under several names: Cats = cats$/,
    );
    assert.match(notesOf([0, 0, 0, 1, 2], ["\u001b[31m", "b", "c"]), /one class, \\u001b\[31m \(60%\)$/);
  });

  it("of vectors tell ranges, conditions of one number, one-hot and constant ones", () => {
    assert.equal(
      notesOf([
        [0.5, -1],
        [0.25, 1],
      ]),
      "",
    );
    const range = notesOf([
      [0.5, 180],
      [0.25, -90],
    ]);
    assert.equal(
      range,
      "1 of 2 numbers of the labels are larger than 10: number 1 from -90 to 180. Bring them to about -1 to 1",
    );
    assert.match(
      notesOf([[3], [1], [0]]),
      /^1 number is the label of all 3 images, a condition and no class \(number 0 from 0 to 3\); class numbers would/,
    );
    assert.match(notesOf([[0.5], [0.25]]), /a condition and no class \(number 0 from 0\.25 to 0\.5\)$/);
    assert.match(
      notesOf([
        [1, 0],
        [0, 1],
      ]),
      /^2 of 2 labels are one-hot vectors/,
    );
    assert.match(
      notesOf([
        [0.5, 7],
        [0.25, 7],
      ]),
      /^1 of 2 numbers of the labels are the same for all images: number 1 is 7$/,
    );
  });

  it("are few and short, and count every class without images, whatever the labels", () => {
    fc.assert(
      fc.property(fc.array(fc.oneof(fc.nat(20), fc.nat(2 ** 24 - 1)), { minLength: 1, maxLength: 30 }), (labels) => {
        const dataset = setOf(labels);
        const notes = labelNotes(dataset);
        assert.ok(notes.length <= 3 && notes.every((note) => note.length < 500 && !note.includes("\n")));
        const empty = (dataset.labels?.labelDim ?? 0) - new Set(labels).size;
        const told = notes.find((note) => note.includes("have no images"));
        assert.equal(Number(/^(\d+) of/.exec(told ?? "0 of")?.[1]), empty);
      }),
      { numRuns: 30 },
    );
  });
});

describe("duplicates", () => {
  it("are counted, each copy once, and those with another label, too", async () => {
    const bits = fc.array(fc.tuple(fc.integer({ min: 0, max: 2 }), fc.nat(1), fc.nat(1)), {
      minLength: 1,
      maxLength: 12,
    });
    await fc.assert(
      fc.asyncProperty(bits, async (images) => {
        const pixels = Uint8Array.from(images.flatMap(([a, b]) => [a, b, 0, 255]));
        const labels = images.map(([, , label]) => label);
        const note = await duplicateNote(createDataset({ name: "data", channels: 1, resolution: 2, pixels, labels }));
        const keys = images.map(([a, b]) => `${a} ${b}`);
        const copies = keys.filter((key, i) => keys.indexOf(key) < i).length;
        const otherwise = keys.filter((key, i) => labels[keys.indexOf(key)] !== labels[i]).length;
        if (copies === 0) assert.equal(note, null);
        else {
          assert.match(note ?? "", new RegExp(`^${copies} of ${images.length} images are the same as an earlier one`));
          assert.equal(Number(/(\d+) of them with another label/.exec(note ?? "")?.[1] ?? 0), otherwise);
        }
      }),
    );
  });
});

describe("notes on pixels", () => {
  it("tell images of bytes 0 and 1, which all are black, and no others", () => {
    const bytes = fc.uint8Array({ minLength: 1, maxLength: 12, max: 3 });
    fc.assert(
      fc.property(bytes, (pixels) => {
        const notes = pixelNotes({ count: pixels.length, pixels });
        assert.equal(notes.length, Math.max(...pixels) <= 1 ? 1 : 0);
        if (notes.length > 0)
          assert.match(notes[0] ?? "", new RegExp(`^all ${pixels.length} images are black to the eye`));
      }),
    );
  });
});
