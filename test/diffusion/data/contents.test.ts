import assert from "node:assert/strict";
import { rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, it } from "node:test";
import { gzipSync } from "node:zlib";
import fc from "fast-check";
import { parseNpy } from "../../../diffusion/data/files/npyFile.ts";
import { Notices } from "../../../diffusion/data/index.ts";
import { holdsLatents, latentFacts } from "../../../diffusion/data/node.ts";
import { idx, noise, npy, png, rawZip, temporaryFolder } from "./sampleFiles.ts";
import { classesOf, convert, open } from "./told.ts";

const { path, folderOf } = temporaryFolder();

const picture = png(2, 2, 3);
const images = idx([3, 2, 2], noise(12));
const classes = idx([3], Uint8Array.of(2, 0, 1));

/** A folder and a zip of the same files. */
async function bothOf(files: Readonly<Record<string, Uint8Array | string>>): Promise<readonly string[]> {
  const entries = Object.entries(files).map(([name, content]) => [name, Buffer.from(content)] as const);
  const zip = path(`both-${Math.random()}.zip`);
  await writeFile(zip, rawZip(entries));
  return [await folderOf(files), zip];
}

describe("IDX files among others", () => {
  it("are read in folders and zips, also where folders have the names of files", async () => {
    for (const files of [
      { "train-images-idx3-ubyte": images, "train-labels-idx1-ubyte": classes, "t10k-images-idx3-ubyte": images },
      // As archives of Kaggle have them, twice, and as programs unpack .gz files, in a folder each.
      {
        "train-images-idx3-ubyte/train-images-idx3-ubyte": idx([1, 2, 2], noise(4)),
        "train-images.idx3-ubyte": images,
        "train-labels-idx1-ubyte/train-labels-idx1-ubyte": idx([1], noise(1)),
        "train-labels.idx1-ubyte": classes,
      },
      {
        "train-images-idx3-ubyte/train-images-idx3-ubyte": images,
        "train-labels-idx1-ubyte/train-labels-idx1-ubyte": classes,
      },
      {
        "mnist/raw/train-images-idx3-ubyte.gz": gzipSync(images),
        "mnist/raw/train-labels-idx1-ubyte.gz": gzipSync(classes),
      },
      {
        "emnist-letters-train-images-idx3-ubyte": images,
        "emnist-letters-train-labels-idx1-ubyte": classes,
        "emnist-letters-test-images-idx3-ubyte": classes,
      },
      {
        "train-images-idx3-ubyte": images,
        "train-images-idx3-ubyte.gz": gzipSync(images),
        "train-labels-idx1-ubyte": classes,
      },
    ]) {
      for (const source of await bothOf(files)) {
        const result = await open(source);
        assert.deepEqual(classesOf(result), [3, null, [2, 0, 1]], Object.keys(files).join(" "));
        assert.deepEqual(classesOf(await convert(source, 2)), [3, null, [2, 0, 1]]);
        const others = Object.keys(files).length - 2;
        assert.equal(result.told.length, others === 0 ? 0 : 1);
        if (others > 0) assert.match(result.told[0] ?? "", new RegExp(`^Left out ${others} .*other IDX files`));
      }
    }
  });

  it("hide no pictures, and are hidden by none, without a word", async () => {
    for (const source of await bothOf({ "t-images-idx3-ubyte": images, "a.png": picture, "b/c.png": picture })) {
      const { dataset, told } = await open(source);
      assert.equal(dataset.count, 3);
      assert.match(
        told.join("\n"),
        /^Left out 2 \(a\.png, b\/c\.png\): pictures beside the IDX file that was read, t-images-idx3-ubyte/,
      );
    }
    for (const source of await bothOf({ "a.png": picture, "old/t-images-idx3-ubyte": images })) {
      const { dataset, told } = await open(source);
      assert.equal(dataset.count, 1);
      assert.match(told.join("\n"), /^Left out 1 \(old\/t-images-idx3-ubyte\): IDX files beside the pictures/);
    }
  });

  it("are refused where several are meant for training", async () => {
    const files = { "digits-train-images-idx3-ubyte": images, "letters-train-images-idx3-ubyte": images };
    for (const source of await bothOf(files))
      await assert.rejects(open(source), /digits-.* and letters-.*: name the one/);
  });
});

describe("NumPy arrays", () => {
  const colours = noise(2 * 2 * 2 * 3);
  const bytes = npy("|u1", [2, 2, 2, 3], colours);
  const twoClasses = npy("<i8", [2], new Uint8Array(BigInt64Array.of(1n, 0n).buffer));

  it("of an .npz are found by their shapes and names, as other programs save them", async () => {
    for (const [arrays, labels, told] of [
      [{ arr_0: bytes }, [], []],
      // Samples and their classes.
      [{ arr_0: bytes, arr_1: twoClasses }, [1, 0], [/^Guessed 1 \(arr_1\.npy\): the labels/]],
      [
        { x_train: bytes, y_train: twoClasses, x_test: bytes, y_test: twoClasses },
        [1, 0],
        [/^Guessed 1 \(y_train/, /^Left out 2 \(x_test\.npy, y_test\.npy\)/],
      ],
      [
        { train_images: bytes, train_labels: twoClasses, val_images: bytes },
        [1, 0],
        [/^Guessed 1 \(train_labels/, /^Left out 1 \(val_images/],
      ],
      [{ X_train: bytes, y_train: twoClasses }, [1, 0], [/^Guessed 1/]],
      [
        { images: bytes, labels: twoClasses, mu: npy("<f8", [2], noise(16)) },
        [1, 0],
        [/^Guessed 1/, /^Left out 1 \(mu/],
      ],
      [{ pictures: bytes, "pictures-labels": twoClasses }, [1, 0], []],
      // No label for each image.
      [{ arr_0: bytes, arr_1: npy("<i8", [3], noise(24)) }, [], [/^Left out 1 \(arr_1/]],
    ] as const) {
      const files = Object.entries(arrays).map(([name, content]) => [`${name}.npy`, content] as const);
      await writeFile(path("arrays.npz"), rawZip(files));
      const inFolder = await folderOf(Object.fromEntries(files));
      await writeFile(path("arrays.zip"), rawZip(files, { isPacked: true }));
      for (const source of [path("arrays.npz"), path("arrays.zip"), inFolder]) {
        const result = await open(source);
        assert.deepEqual(classesOf(result), [2, null, labels]);
        assert.deepEqual(classesOf(await convert(source, 2)), [2, null, labels]);
        assert.equal(result.told.length, told.length, result.told.join("\n"));
        told.forEach((pattern, i) => assert.match(result.told[i] ?? "", pattern));
        const red = [0, 1].map((image) => [0, 1, 2, 3].map((i) => colours[image * 12 + i * 3]));
        assert.deepEqual(
          [0, 1].map((image) => [...result.dataset.pixels.subarray(image * 12, image * 12 + 4)]),
          red,
        );
      }
    }
    await writeFile(
      path("two.npz"),
      rawZip([
        ["a.npy", bytes],
        ["b.npy", bytes],
      ]),
    );
    await assert.rejects(
      open(path("two.npz")),
      /several arrays that could be the images: a\.npy \(\[2, 2, 2, 3\] of \|u1\), b\.npy/,
    );
    await writeFile(
      path("none.npz"),
      rawZip([
        ["mu.npy", npy("<f8", [2], noise(16))],
        ["sigma.npy", npy("<f8", [2, 2], noise(32))],
      ]),
    );
    await assert.rejects(open(path("none.npz")), /holds mu and sigma, statistics of another program/);
  });

  it("may have the header of Python 2, and labels of any number in either byte order", async () => {
    const folder = await folderOf({ "y.npy": "" });
    const file = async (name: string, content: Uint8Array): Promise<string> => {
      await writeFile(join(folder, name), content);
      return join(folder, name);
    };
    const header = "{'descr': '|u1', 'fortran_order': False, 'shape': (2L, 2L, 2L, 3L), }".padEnd(118, " ");
    const python2 = Buffer.concat([
      Buffer.from("\x93NUMPY\x01\0", "latin1"),
      Buffer.from([118, 0]),
      Buffer.from(header),
      colours,
    ]);
    const source = await file("x.npy", python2);
    assert.equal((await open(source)).dataset.count, 2);
    const values = (type: string, data: Uint8Array): Buffer => npy(type, [2], data);
    const be = (write: (view: DataView, at: number, value: number) => void, step: number): Uint8Array => {
      const view = new DataView(new ArrayBuffer(2 * step));
      [3, 1].forEach((value, i) => write(view, i * step, value));
      return new Uint8Array(view.buffer);
    };
    for (const [type, data] of [
      ["<f2", Uint8Array.of(0x00, 0x42, 0x00, 0x3c)],
      [">f2", Uint8Array.of(0x42, 0x00, 0x3c, 0x00)],
      [">f4", be((view, at, value) => view.setFloat32(at, value), 4)],
      [">f8", be((view, at, value) => view.setFloat64(at, value), 8)],
      [">i2", be((view, at, value) => view.setInt16(at, value), 2)],
      [">i8", be((view, at, value) => view.setBigInt64(at, BigInt(value)), 8)],
      [">u4", be((view, at, value) => view.setUint32(at, value), 4)],
      ["=i4", new Uint8Array(Int32Array.of(3, 1).buffer)],
      ["|b1", Uint8Array.of(3, 1)],
    ] as const) {
      await file("x-labels.npy", values(type, data));
      assert.deepEqual([...((await open(source)).dataset.labels?.values ?? [])], [3, 1], type);
    }
    for (const [type, data] of [
      ["|O8", noise(16)],
      ["<U1", noise(8)],
      ["<c8", noise(16)],
    ] as const) {
      await file("x-labels.npy", values(type, data));
      await assert.rejects(
        open(source),
        type === "<U1" ? /holds <U1, expected numbers.*numpy\.unique/ : /x-labels\.npy: holds .*expected numbers/,
        type,
      );
    }
  });

  it("whose labels are texts or objects under any name of labels are refused, not passed over", async () => {
    const header = "{'descr': '|O', 'fortran_order': False, 'shape': (2,), }\n";
    const objects = Buffer.concat([
      Buffer.from("\x93NUMPY\x01\0", "latin1"),
      Buffer.from([header.length, 0]),
      Buffer.from(header),
      noise(30),
    ]);
    for (const labels of ["labels.npy", "images_labels.npy", "y.npy"]) {
      const folder = await folderOf({ "images.npy": npy("|u1", [2, 2, 2, 3], colours), [labels]: objects });
      await assert.rejects(open(folder), /labels|y\.npy: holds elements of type \|O .*numpy\.unique/);
    }
  });

  it("may be in columns, whatever the shape and the type", async () => {
    const shapes = fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 2, maxLength: 4 });
    const types = fc.constantFrom(["|u1", 1], [">f4", 4], ["<f8", 8]) satisfies fc.Arbitrary<readonly [string, number]>;
    fc.assert(
      fc.property(shapes, types, (shape, [type, step]) => {
        const count = shape.reduce((product, extent) => product * extent, 1);
        const rows = noise(count * step);
        const columns = Buffer.alloc(rows.length);
        for (let place = 0; place < count; place++) {
          // The same element where the first index runs fastest.
          let [rest, to] = [place, 0];
          for (const [axis, extent] of [...shape.entries()].reverse()) {
            const stride = shape.slice(0, axis).reduce((product, each) => product * each, 1);
            to += (rest % extent) * stride;
            rest = Math.floor(rest / extent);
          }
          columns.set(rows.subarray(place * step, (place + 1) * step), to * step);
        }
        const read = parseNpy(npy(type, shape, columns, "True"), "x.npy");
        assert.deepEqual([read.shape, Buffer.from(read.bytes)], [shape, Buffer.from(rows)]);
      }),
    );
    // Labels of three images that a data frame made: 1 2, 3 4, 5 6.
    const labels = npy("<f8", [3, 2], new Uint8Array(Float64Array.of(1, 3, 5, 2, 4, 6).buffer), "True");
    const folder = await folderOf({ "x.npy": npy("|u1", [3, 2, 2], noise(12)), "x-labels.npy": labels });
    const { dataset } = await open(join(folder, "x.npy"));
    assert.deepEqual([...(dataset.labels?.values ?? [])], [1, 2, 3, 4, 5, 6]);
  });

  it("of no bytes are refused with what to do", async () => {
    const folder = await folderOf({ "x.npy": npy("<f4", [1, 2, 2], noise(16)) });
    await assert.rejects(
      open(join(folder, "x.npy")),
      /holds <f4, expected bytes \(uint8\): save numpy\.uint8\(numpy\.clip\(x \* 255/,
    );
    for (const [type, step, way] of [
      ["<u2", 2, /save numpy\.uint8\(x\) of numbers from 0 to 255, numpy\.uint8\(x \/\/ 257\) of those up to 65535/],
      [">i8", 8, /save numpy\.uint8\(x\) of numbers from 0 to 255/],
      ["|b1", 1, /save numpy\.uint8\(x\) \* 255/],
      ["<c8", 8, /holds <c8, expected bytes \(uint8\): save bytes\./],
    ] as const) {
      const other = await folderOf({ "x.npy": npy(type, [1, 2, 2], noise(4 * step)) });
      await assert.rejects(open(join(other, "x.npy")), way);
    }
    await assert.rejects(open(folder), /holds <f4, expected bytes/);
    await rename(join(folder, "x.npy"), join(folder, "x.npz"));
    await assert.rejects(open(join(folder, "x.npz")), /x\.npz: is no zip: it is a NumPy array/);
  });

  it("that are latents, one a picture, are named, and told of as what is drawn from them", async () => {
    // Two channels of 1x2: their means, then their deviations.
    const latent = (...numbers: number[]): Buffer =>
      npy("<f4", [4, 1, 2], new Uint8Array(Float32Array.from(numbers).buffer));
    for (const source of await bothOf({
      "00000/img-mean-std-00000000.npy": latent(1, 2, 0, 0, 0, 0, 3, 4),
      "00000/img-mean-std-00000001.npy": latent(3, 2, 0, 0, 0, 0, 5, 0),
      "dataset.json": JSON.stringify({ labels: [0, 1].map((i) => [`00000/img-mean-std-0000000${i}.npy`, 1 - i]) }),
    })) {
      await assert.rejects(open(source), /holds the latents of 2 pictures/);
      await assert.rejects(convert(source, 2), /holds the latents of 2 pictures/);
      assert.equal(await holdsLatents(source), true);
      const notices = new Notices();
      const facts = await latentFacts(source, { notices });
      assert.deepEqual(facts, {
        count: 2,
        channels: 2,
        height: 1,
        width: 2,
        channelMean: [2, 0],
        // Variances of the means and means of the squared deviations: 1/2 and (9 + 16 + 25) / 4.
        channelStd: [Math.sqrt(0.5), Math.sqrt(12.5)],
        labels: [1, 0],
        classNames: null,
      });
      assert.deepEqual(notices.list, []);
    }
    const uneven = await folderOf({ "img-mean-std-0.npy": latent(1, 2, 3, 4, 5, 6, 7, 8), "img-mean-std-1.npy": "x" });
    await assert.rejects(latentFacts(uneven), /img-mean-std-1\.npy: is no \.npy file/);
    assert.equal(await holdsLatents(await folderOf({ "a.png": picture })), false);
    await assert.rejects(latentFacts(await folderOf({ "a.png": picture })), /holds no latents/);
  });
});
