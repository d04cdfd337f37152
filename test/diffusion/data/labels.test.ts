import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { describe, it } from "node:test";
import fc from "fast-check";
import { describeNotice, Notices } from "../../../diffusion/data/index.ts";
import { openDataset } from "../../../diffusion/data/node.ts";
import { described, meanings, read } from "./labelsIn.ts";
import { noise, npy, temporaryFolder } from "./sampleFiles.ts";

describe("folders as classes", () => {
  const inFolders = (folders: Readonly<Record<string, readonly string[]>>): string[] =>
    Object.entries(folders).flatMap(([folder, files]) => files.map((file) => `${folder}/${file}`));
  const numbers = (from: number, count: number, digits = 1): string[] =>
    Array.from({ length: count }, (_, i) => `${String(from + i).padStart(digits, "0")}.png`);

  it("that only number or split the images are none, and it is said", async () => {
    for (const folders of [
      // As FFHQ's thumbnails, as many seeds are sampled, and as data sets are written.
      { "00000": numbers(0, 4), "01000": numbers(1000, 4), "02000": numbers(2000, 3) },
      { "000000": ["000003.png"], "012000": ["012345.png"] },
      { "00000": ["img00000000.png"], "00001": ["img00001000.png", "img00001999.png"] },
      { part1: ["a.png"], part2: ["b.png"] },
      { images_001: ["00000001_000.png"], images_002: ["00001336_000.png"] },
      { "2021-05-03": ["IMG_1.png"], "2021-06-01": ["IMG_2.png"] },
      { "100CANON": ["IMG_1.png"], "101CANON": ["IMG_1.png"] },
      { "0a": ["0a3f5c99.png"], ff: ["ffe01234.png"] },
      { "0123": ["4560123.png"], "0999": ["10999.png"] },
      { train: ["a.png"], test: ["b.png"] },
      { seg_train: ["a.png"], seg_test: ["b.png"] },
    ]) {
      const { labels, told, notices } = await read(inFolders(folders));
      assert.equal(labels, null, JSON.stringify(folders));
      assert.equal(told.length, 1, told.join("\n"));
      assert.match(
        told[0] ?? "",
        /^Guessed \d+ \(.*\): folders that only (split|number) the images and are no classes/,
      );
      assert.equal(notices[0]?.count, Object.keys(folders).length);
    }
  });

  it("called by numbers, but each with all numbers, are some", async () => {
    for (const folders of [
      { "0": numbers(0, 4), "1": numbers(0, 4), "10": numbers(0, 2) },
      // Digits of MNIST, numbered through all classes; an image of the class's number in each.
      { "0": ["1.png", "21.png", "34.png"], "1": ["3.png", "6.png"], "5": ["0.png", "11.png"] },
      { "0": ["0.png"], "1": ["1.png"], "2": ["2.png"] },
      { n01440764: ["n01440764_10026.png"], n01443537: ["n01443537_10007.png"] },
      { positive_test: ["a.png"], negative_test: ["b.png"] },
      { class1: ["a.png"], class2: ["b.png"] },
    ]) {
      const result = await read(inFolders(folders));
      assert.deepEqual(result.classNames, Object.keys(folders).sort());
      assert.deepEqual(result.told, []);
    }
  });

  it("are looked for below what all have in common, and below train and test", async () => {
    const pets = ["cats/a.png", "cats/b.png", "dogs/a.png"];
    const inPhotos = await read(pets.map((file) => `photos/${file}`));
    assert.deepEqual(
      [inPhotos.classNames, inPhotos.labels],
      [
        ["cats", "dogs"],
        [0, 0, 1],
      ],
    );
    assert.deepEqual(inPhotos.told, [
      "Guessed 2 (cats, dogs): classes, by folders within the one or the ones that hold all images.",
    ]);
    const kaggle = await read([
      ...pets.map((file) => `seg_train/seg_train/${file}`),
      ...pets.map((file) => `seg_test/seg_test/${file}`),
      "seg_pred/seg_pred/1.png",
    ]);
    assert.deepEqual([kaggle.classNames, kaggle.images.length], [["cats", "dogs"], 6]);
    assert.match(
      kaggle.told.join("\n"),
      /Left out 1 \(seg_pred\/seg_pred\/1\.png\): images outside of the class folders/,
    );
    assert.match(kaggle.told.join("\n"), /Guessed 3 \(seg_pred, seg_test, seg_train\): folders that only split/);
  });

  it("hold folders of other names, whose images they take, and it is said", async () => {
    const deep = ["animals/cat/a.png", "animals/dog/a.png", "plants/oak/a.png", "plants/b.png"];
    const { classNames, labels, told } = await read(deep);
    assert.deepEqual(
      [classNames, labels],
      [
        ["animals", "plants"],
        [0, 0, 1, 1],
      ],
    );
    assert.equal(told.length, 1);
    assert.match(
      told[0] ?? "",
      /^Guessed 3 \(animals\/cat, animals\/dog, plants\/oak\): folders within classes, whose/,
    );
    // As tiny-imagenet has them.
    assert.deepEqual((await read(["n01/images/a.png", "n02/images/a.png"])).told, []);
  });

  it("lose a few images outside of them and say which; many take the classes from them", async () => {
    const few = await read(["cats/a.png", "dogs/a.png", "stray.png"]);
    assert.deepEqual(
      [few.images, few.labels],
      [
        ["cats/a.png", "dogs/a.png"],
        [0, 1],
      ],
    );
    assert.match(few.told.join(), /^Left out 1 \(stray\.png\): images outside of the class folders; put them into one/);
    const many = await read(["a.png", "b.png", "c.png", "more/a.png", "old/a.png"]);
    assert.deepEqual([many.images.length, many.labels], [5, null]);
    assert.match(
      many.told.join(),
      /^Guessed 2 \(more, old\): folders that aren't taken for classes, as most images lie/,
    );
    // One folder beside images isn't a class of its own.
    const single = await read(["a.png", "more/b.png"]);
    assert.deepEqual([single.images.length, single.labels, single.told], [2, null, []]);
  });

  it("mean the same however deep all lie; nothing is lost without a word", async () => {
    const part = fc.constantFrom("cats", "dogs", "a", "0", "1", "00000", "01000", "train", "test", "x y", "Ä");
    const image = fc.tuple(fc.array(part, { maxLength: 3 }), fc.constantFrom("1.png", "2.png", "1003.png", "b.png"));
    const images = fc.uniqueArray(
      image.map(([folders, file]) => [...folders, file].join("/")),
      { minLength: 1, maxLength: 9 },
    );
    await fc.assert(
      fc.asyncProperty(images, async (files) => {
        const plain = await read(files);
        const leftOut = plain.notices.filter(({ effect }) => effect === "left out").flatMap(({ names }) => names);
        assert.deepEqual([...plain.images, ...leftOut].sort(), [...files].sort());
        for (const [file, name] of Object.entries(meanings(plain))) {
          if (plain.labels !== null) assert.ok(file.split("/").slice(0, -1).includes(String(name)), file);
        }
        const deep = await read(files.map((file) => `all/of it/${file}`));
        const expected = Object.entries(meanings(plain)).map(([file, name]) => [`all/of it/${file}`, name]);
        assert.deepEqual(Object.entries(meanings(deep)), expected);
        // Whatever was inferred is said.
        const isGuess = plain.labels === null && files.every((file) => file.includes("/"));
        if (isGuess && new Set(files.map((file) => file.split("/")[0])).size > 1) assert.ok(plain.told.length > 0);
      }),
    );
  });
});

describe("labels of arrays", () => {
  const { path } = temporaryFolder();

  it("[N, 1] of whole numbers are classes, and it is said; of floats they are a condition", async () => {
    await writeFile(path("x.npy"), npy("|u1", [4, 2, 2], noise(16)));
    const open = async (labels: Buffer): Promise<readonly unknown[]> => {
      await writeFile(path("x-labels.npy"), labels);
      const notices = new Notices();
      const dataset = await openDataset(path("x.npy"), { notices });
      return [dataset.labels?.kind, dataset.labels?.labelDim, notices.list.map(describeNotice).join()];
    };
    const guess =
      "Guessed 1 (x-labels.npy): class numbers [N, 1], as they are whole; save them as floats if they are a condition of one number.";
    assert.deepEqual(await open(npy("|u1", [4, 1], Uint8Array.of(0, 1, 2, 1))), ["classes", 3, guess]);
    const long = new Uint8Array(BigInt64Array.of(3n, 0n, 1n, 1n).buffer);
    assert.deepEqual(await open(npy("<i8", [4, 1], long)), ["classes", 4, guess]);
    const real = new Uint8Array(Float32Array.of(0.5, 1, 2, 1).buffer);
    assert.deepEqual(await open(npy("<f4", [4, 1], real)), ["vectors", 1, ""]);
    await assert.rejects(open(npy("<f4", [4], real)), /a label is 0\.5, expected a class.*\[N, 1\] in an array/);
    const whole = new Uint8Array(Float64Array.of(0, 3, 2, 1).buffer);
    assert.deepEqual(await open(npy("<f8", [4], whole)), [
      "classes",
      4,
      "Guessed 1 (x-labels.npy): real numbers [N], taken for class numbers, as all are whole; save them as [N, 1] if they are a condition of one number.",
    ]);
    assert.deepEqual(await open(npy("<f8", [4, 1], whole)), ["vectors", 1, ""]);
  });
});

describe("dataset.json", () => {
  const images = ["00000/a.png", "00000/b.png", "c.png"];

  it("labels images in all its forms", async () => {
    const list = images.map((image, i) => [image, 2 - i]);
    const expected = [2, 1, 0];
    assert.deepEqual((await read(images, described(list))).labels, expected);
    assert.deepEqual((await read(images, described(Object.fromEntries(list)))).labels, expected);
    const dotted = list.map(([image, label]) => [`.\\${String(image).replace("/", "\\")}`, label]);
    assert.deepEqual((await read(images, described(dotted))).labels, expected);
    const named = await read(images, described(images.map((image, i) => [image, ["owl", "ant", "owl"][i]])));
    assert.deepEqual(
      [named.labels, named.classNames],
      [
        [1, 0, 1],
        ["ant", "owl"],
      ],
    );
    const ordered = await read(
      images,
      described({ "c.png": "owl", "00000/a.png": "owl", "00000/b.png": "owl" }, { classNames: ["owl", "ant"] }),
    );
    assert.deepEqual([ordered.labels, ordered.classNames, ordered.told], [[0, 0, 0], ["owl", "ant"], []]);
    const vectors = images.map((image, i) => [image, [i, 0.5]]);
    assert.deepEqual((await read(images, described(vectors))).labels, [
      [0, 0.5],
      [1, 0.5],
      [2, 0.5],
    ]);
    // A Mac writes accents as characters of their own.
    assert.deepEqual((await read(["u\u0308.png"], described([["ü.png", 3]]))).labels, [3]);
  });

  it("is found in the folder of all images, and said where it isn't used", async () => {
    const deep = images.map((image) => `photos/${image}`);
    const text = described(images.map((image) => [image, 1]))["dataset.json"] ?? "";
    assert.deepEqual((await read(deep, { "photos/dataset.json": text })).labels, [1, 1, 1]);
    assert.deepEqual((await read(deep, { "photos/Dataset.JSON": text })).labels, [1, 1, 1]);
    const whole = described(deep.map((image) => [image, 1]))["dataset.json"] ?? "";
    assert.deepEqual((await read(deep, { "photos/dataset.json": whole })).labels, [1, 1, 1]);
    const part = await read(["a.png", "b.png", "old/c.png"], { "old/dataset.json": text });
    assert.equal(part.labels, null);
    assert.match(part.told.join(), /^Left out 1 \(old\/dataset\.json\): dataset\.json files of a part of the images/);
  });

  it("that says null, or nothing, doesn't silence the folders", async () => {
    const pets = ["cats/a.png", "dogs/a.png"];
    const none = await read(pets, described(null));
    assert.equal(none.labels, null);
    assert.match(
      none.told.join(),
      /^Guessed 2 \(cats, dogs\): folders that aren't taken for classes, as dataset\.json says/,
    );
    assert.deepEqual((await read(["00000/img00000000.png"], described(null))).told, []);
    const other = await read(pets, { "dataset.json": '{"title": "pets"}' });
    assert.deepEqual(other.classNames, ["cats", "dogs"]);
    assert.match(other.told.join(), /^Left out 1 \(dataset\.json\): dataset\.json without an entry "labels"/);
    for (const empty of [[], pets.map((pet) => [pet, null])]) {
      const { labels, told } = await read(pets, described(empty));
      assert.equal(labels, null);
      assert.match(told.join("\n"), /Guessed 2 \(cats\/a\.png, dogs\/a\.png\): images of a set without labels/);
    }
  });

  it("gives every image its label, or it is named as missing, whatever else is in it", async () => {
    const label = fc.oneof(fc.nat(9), fc.constant(null), fc.constant(undefined));
    const form = fc.constantFrom("list" as const, "object" as const);
    const folder = fc.constantFrom("", "all/", "cats/");
    const name = fc.uniqueArray(fc.stringMatching(/^[a-dü][a-d/]{0,3}[a-d]$/), { minLength: 1, maxLength: 8 });
    await fc.assert(
      fc.asyncProperty(
        name,
        fc.array(label, { minLength: 8, maxLength: 8 }),
        form,
        folder,
        fc.nat(3),
        async (names, labels, as, base, extra) => {
          const files = names.map((each) => `${each.replaceAll("//", "/")}.png`);
          if (new Set(files).size < files.length) return;
          const wanted = new Map(files.map((file, i) => [`${base}${file}`, labels[i] ?? null]));
          const entries: [string, number | null][] = files.flatMap((file, i) =>
            labels[i] === undefined ? [] : [[file, labels[i] ?? null]],
          );
          for (let i = 0; i < extra; i++) entries.push([`gone${i}.png`, i]);
          const hasAny = [...wanted.values()].some((each) => each !== null);
          const text = JSON.stringify({ labels: as === "list" ? entries : Object.fromEntries(entries) });
          const reading = read([...wanted.keys()], { [`${base}dataset.json`]: text });
          if (!hasAny && extra > 0) {
            await assert.rejects(reading, /has a label for none/);
            return;
          }
          const result = await reading;
          const missing = result.notices.flatMap(({ what, names: told }) =>
            /has no label for|set without labels/.test(what) ? told : [],
          );
          assert.deepEqual(missing.sort(), [...wanted].flatMap(([file, own]) => (own === null ? [file] : [])).sort());
          for (const [file, own] of Object.entries(meanings(result))) assert.equal(own, wanted.get(file));
          if (hasAny) assert.equal(result.images.length, wanted.size - missing.length);
          const gone = result.notices.find(({ what }) => /aren't there/.test(what));
          assert.equal(gone?.count ?? 0, extra);
        },
      ),
    );
  });

  it("is refused in words that show the form, the place and the way out", async () => {
    const refuse = async (text: string, pattern: RegExp): Promise<void> => {
      await assert.rejects(read(["a.png", "b.png"], { "dataset.json": text }), (error: Error) => {
        assert.match(error.message, pattern);
        assert.ok(error.message.length < 800, error.message);
        return true;
      });
    };
    await refuse(
      '{"labels":[["a.png",0],\n ["b.png",1],]}',
      /no JSON: line 2, column 14: value expected, found "\]\}"\. JSON has .* no comma before \]/,
    );
    await refuse('{"labels": [["a.png", 0]', /no JSON: line 1, column 25: close bracket expected, found the end/);
    await refuse("{'labels': 3}", /line 1, column 2: invalid symbol, found "'labels'.*names in double quotes/);
    await refuse('{"labels": [["a.png", NaN]]}', /column 23: invalid symbol, found "NaN\]\]\}".* no NaN/);
    await refuse('{"labels": null} 3', /column 18: end of file expected, found "3"/);
    await refuse("[1, 2]", /it is \[1,2\]; expected \{"labels": \[\["folder\/image\.png", CLASS\], \.\.\.\]\}/);
    await refuse('{"labels": [["a.png"]]}', /labels\[0\] is \["a\.png"\]; expected/);
    await refuse('{"labels": [["a.png", true]]}', /labels\[0\] is true; expected/);
    await refuse(
      '{"labels": [{"file": "a.png", "class": 3}]}',
      /labels\[0\] is an object of 2 entries \(file, class\)/,
    );
    await refuse('{"labels": {"a.png": {}}}', /labels of "a\.png" is an object of 0 entries/);
    await refuse(
      '{"labels": [["a.png", 0], ["./a.png", 1]]}',
      /different labels for the same images, 1 of them \("a\.png"\); leave one each/,
    );
    await refuse(
      '{"labels": [["x.png", 0]]}',
      /a label for none of the 2 images: it has "x\.png", and an image is "a\.png"/,
    );
    await refuse('{"labels": [["a.png", 0], ["b.png", "cat"]]}', /1 classes by name among 2 labels/);
    await refuse(
      '{"labels": [["a.png", "cat"]], "classNames": ["dog"]}',
      /class "cat", which isn't among its classNames/,
    );
    await refuse('{"labels": null, "classNames": [1]}', /classNames is \[1\], expected a list of texts/);
    // A stack is soon full.
    await refuse("[".repeat(100_000) + "]".repeat(100_000), /it is \[\[\.\.\.\]\]; expected/);
    await refuse("[".repeat(100_000), /no JSON: it breaks within too many brackets to say where/);
    await refuse(
      JSON.stringify({ labels: Array.from({ length: 9999 }, () => "x".repeat(50)) }),
      /labels\[0\] is "x+\.*/,
    );
  });

  it("that isn't JSON is pointed at where it breaks, in any text", async () => {
    const text = fc
      .json()
      .chain((json) => fc.tuple(fc.constant(json), fc.nat(json.length), fc.constantFrom("", "]", ",", "'", "\u0001")));
    await fc.assert(
      fc.asyncProperty(text, async ([json, at, inserted]) => {
        const broken = json.slice(0, at) + inserted;
        let isJson = true;
        try {
          JSON.parse(broken);
        } catch {
          isJson = false;
        }
        const outcome = await read(["a.png"], { "dataset.json": broken }).then(
          () => "",
          (error: unknown) => (error instanceof Error ? error.message : ""),
        );
        assert.equal(
          / is no JSON: line \d+, column \d+: [a-z ]+, found .*\. JSON has /.test(outcome),
          !isJson,
          outcome,
        );
        const column = Number(/column (\d+)/.exec(outcome)?.[1] ?? 0);
        assert.ok(column <= broken.length + 1);
      }),
    );
  });
});
