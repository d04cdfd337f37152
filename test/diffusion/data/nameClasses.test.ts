/** Classes that stand in the names of pictures, as Kaggle's `cat.0.jpg`. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { nameClasses } from "../../../diffusion/data/files/nameClasses.ts";
import { noise, npy, png, temporaryFolder } from "./sampleFiles.ts";
import { read } from "./labelsIn.ts";
import { classesOf, convert, open } from "./told.ts";

const { folderOf } = temporaryFolder();

describe("names as classes", () => {
  it("are what stands before the last number, whatever parts them", () => {
    const word = fc.constantFrom("cat", "great_pyrenees", "Kühe", "type 2 b", "n01440764x");
    const number = fc
      .nat(99999)
      .chain((n) => fc.constantFrom(`.${n}`, `_${n}`, `-${n}`, ` ${n}`, ` (${n})`, `(${n})`, `${n}`, `__${n}`));
    const ending = fc.constantFrom(".jpg", ".PNG");
    fc.assert(
      fc.property(word, number, ending, fc.constantFrom("", "all/"), (name, tail, end, folder) => {
        assert.deepEqual(nameClasses([`${folder}${name}${tail}${end}`]), [name]);
      }),
    );
    assert.deepEqual(nameClasses(["12.jpg", "cat.jpg", "_12.jpg", "2021-01-02.jpg", "a/b.12/cat.png"]), [
      null,
      null,
      null,
      null,
      null,
    ]);
    // Archives may have such names; looking through them once for each digit would take minutes.
    assert.deepEqual(nameClasses([`cat${"1".repeat(60_000)}x.png`]), [null]);
  });

  it("are told where images have no labels, and nowhere else", async () => {
    const pets = ["cat.0.jpg", "cat.1.jpg", "cat.2.jpg", "dog.0.jpg", "dog.10.jpg"];
    const line = (told: readonly string[]): string => told.filter((each) => /seem to be called by/.test(each)).join();
    for (const images of [pets, pets.map((pet) => `train/${pet}`), [...pets, "notes.png"]]) {
      const { labels, told } = await read(images);
      assert.equal(labels, null);
      assert.match(
        line(told),
        /^Guessed 2 \(cat \(3\), dog \(2\)\): classes .* weren't taken as labels; dataset convert --labels-from names/,
      );
    }
    for (const images of [
      ["IMG_1.jpg", "IMG_2.jpg", "DSC_1.jpg", "DSC_2.jpg"],
      ["img00000000.png", "img00000001.png", "x1.png", "x2.png"],
      ["cat.1.png", "dog.1.png", "owl.1.png"],
      ["cat.1.png", "cat.2.png", "cat.3.png"],
      ["cat.1.png", "cat.2.png", "dog.1.png", "dog.2.png", ...Array.from({ length: 9 }, (_, i) => `${i}.png`)],
      pets.map((pet) => `${pet.slice(0, 3)}/${pet}`),
    ]) {
      assert.equal(line((await read(images)).told), "", images.join());
    }
    assert.equal(
      line((await read(pets, { "dataset.json": JSON.stringify({ labels: pets.map((pet) => [pet, 0]) }) })).told),
      "",
    );
  });

  it("are labels where they are asked for; what has none is left out, other labels are told", async () => {
    const files = ["cat.0.png", "dog.0.png", "more/cat.7.png", "stray.png"];
    const pictures = Object.fromEntries(files.map((name) => [name, png(2, 2, 3)]));
    const labels = JSON.stringify({ labels: files.map((name) => [name, 5]) });
    const source = await folderOf({ ...pictures, "dataset.json": labels });
    const result = await convert(source, 2, { labelsFrom: "names" });
    assert.deepEqual(classesOf(result), [3, ["cat", "dog"], [0, 1, 0]]);
    assert.deepEqual(result.told, [
      "Left out 1 (dataset.json): labels in files, as those of names were asked for.",
      "Left out 1 (stray.png): images that aren't called by a class and a number, such as cat.12.jpg.",
    ]);
    await assert.rejects(
      convert(source, 2, { labelsFrom: "names", strict: true }),
      /with --strict, no picture is left out/,
    );
    assert.deepEqual(classesOf(await convert(source, 2)), [4, null, [5, 5, 5, 5]]);
    assert.deepEqual(classesOf(await open(source)), [4, null, [5, 5, 5, 5]]);
    const plain = await folderOf({ "a.png": png(2, 2, 3) });
    await assert.rejects(
      convert(plain, 2, { labelsFrom: "names" }),
      /no image is called by a class and a number.*"a\.png" is one of 1/,
    );
    const array = await folderOf({ "x.npy": npy("|u1", [5, 2, 2], noise(20)) });
    await assert.rejects(
      convert(array, 2, { labelsFrom: "names" }),
      /labels from names are for pictures in files of their own/,
    );
  });
});
