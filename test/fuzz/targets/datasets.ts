import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { encode } from "fast-png";
import sharp from "sharp";
import { type ImageDataset, labelDimOf } from "../../../diffusion/data/index.ts";
import { convertDataset, openDataset } from "../../../diffusion/data/node.ts";
import {
  type Entries,
  mutateEntries,
  mutateNamed,
  packEntries,
  unpackEntries,
  writeEntries,
  zipOf,
} from "../entries.ts";
import { mutateBytes, within } from "../mutate.ts";
import type { Target } from "../target.ts";
import { pngTarget } from "./png.ts";

const png = (seed: number, channels: 1 | 3): Uint8Array =>
  encode({
    width: 3,
    height: 3,
    channels,
    depth: 8,
    data: Uint8Array.from({ length: 9 * channels }, (_, i) => i * seed),
  });
const text = (value: unknown): Uint8Array => new Uint8Array(Buffer.from(JSON.stringify(value)));

const sets: readonly Entries[] = [
  [
    ["a/1.png", png(3, 3)],
    ["a/2.png", png(5, 3)],
    ["b/1.png", png(7, 3)],
  ],
  [
    ["00000/a.png", png(2, 1)],
    ["00000/b.png", png(9, 1)],
    [
      "dataset.json",
      text({
        labels: [
          ["00000/a.png", 1],
          ["00000/b.png", 0],
        ],
        classNames: ["cat", "dog"],
      }),
    ],
  ],
  [
    ["x.png", png(4, 3)],
    ["y.png", png(6, 3)],
    [
      "dataset.json",
      text({
        labels: [
          ["x.png", [0.5, 1]],
          ["y.png", [0, -2]],
        ],
      }),
    ],
  ],
];

/** @throws AssertionError unless a data set is one. @returns its bytes. */
function checkDataset(dataset: ImageDataset): number {
  const { count, channels, resolution, pixels, labels, classNames } = dataset;
  assert.ok(count >= 1 && [1, 3].includes(channels));
  assert.equal(pixels.length, count * channels * resolution ** 2);
  const labelDim = labelDimOf(dataset);
  if (labels?.kind === "classes") {
    assert.equal(labels.values.length, count);
    assert.ok(labels.values.every((label) => label >= 0 && label < labelDim));
  } else if (labels !== null) {
    assert.equal(labels.values.length, count * labelDim);
    assert.ok(labels.values.every(Number.isFinite));
  }
  if (classNames !== null) assert.ok(classNames.every((name) => typeof name === "string"));
  return pixels.length + count * 8 * Math.max(1, labels?.kind === "vectors" ? labelDim : 1);
}

const changeFiles = mutateEntries(
  mutateNamed((file, draw, other) => (pngTarget.mutations[draw(2)] ?? mutateBytes)(file, draw, other)),
);
const changeFolder = within(unpackEntries, changeFiles, packEntries);

export const folderTarget: Target = {
  name: "folder",
  samples: () => sets.map(packEntries),
  mutations: [changeFolder],
  read: async (file, place) => {
    const folder = place();
    writeEntries(folder, unpackEntries(file));
    return checkDataset(await openDataset(folder));
  },
};

/** A zip as its files; only what `zipOf` writes is taken apart. */
function unzip(file: Uint8Array): Entries {
  const bytes = Buffer.from(file);
  const entries: [string, Uint8Array][] = [];
  for (let at = 0; at + 30 <= bytes.length && bytes.readUInt32LE(at) === 0x04034b50; ) {
    const [packed, name] = [bytes.readUInt32LE(at + 18), bytes.readUInt16LE(at + 26)];
    const start = at + 30 + name;
    const found = sets.flat().find(([known]) => known === bytes.toString("utf8", at + 30, start));
    entries.push([
      bytes.toString("utf8", at + 30, start),
      found?.[1] ?? new Uint8Array(bytes.subarray(start, start + packed)),
    ]);
    at = start + packed;
  }
  return entries;
}

export const zipTarget: Target = {
  name: "zip",
  samples: () => sets.map(zipOf),
  mutations: [within(unzip, changeFiles, zipOf), mutateBytes],
  read: async (file, place) => {
    const folder = place();
    writeFileSync(join(folder, "x.zip"), file);
    return checkDataset(await openDataset(join(folder, "x.zip")));
  },
};

function idx(shape: readonly number[], data: Uint8Array): Uint8Array {
  const header = Buffer.alloc(4 + 4 * shape.length);
  header.set([0, 0, 8, shape.length]);
  shape.forEach((extent, axis) => header.writeUInt32BE(extent, 4 + 4 * axis));
  return new Uint8Array(Buffer.concat([header, data]));
}

function npy(type: string, shape: readonly number[], data: Uint8Array): Uint8Array {
  const header = `{'descr': '${type}', 'fortran_order': False, 'shape': (${shape.join(", ")},), }\n`;
  const start = Buffer.from([0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59, 1, 0, header.length & 255, header.length >> 8]);
  return new Uint8Array(Buffer.concat([start, Buffer.from(header), data]));
}

const bytes = (length: number): Uint8Array => Uint8Array.from({ length }, (_, i) => i * 11);
const halves = new Uint8Array(Float32Array.of(0.5, -1, 2, 3).buffer);
const arrays: readonly Entries[] = [
  [
    ["train-images-idx3-ubyte", idx([2, 3, 3], bytes(18))],
    ["train-labels-idx1-ubyte", idx([2], bytes(2))],
  ],
  [["images-idx3-ubyte.gz", new Uint8Array(gzipSync(idx([2, 3, 3], bytes(18))))]],
  [
    ["x.npy", npy("|u1", [2, 3, 3], bytes(18))],
    ["x-labels.npy", npy("<i8", [2], new Uint8Array(16))],
  ],
  [
    ["x.npy", npy("|u1", [2, 3, 4, 4], bytes(96))],
    ["x-labels.npy", npy("<f4", [2, 2], halves)],
  ],
  [
    [
      "x.npz",
      zipOf([
        ["images.npy", npy("|u1", [2, 4, 4, 3], bytes(96))],
        ["labels.npy", npy("<i4", [2], new Uint8Array(8))],
      ]),
    ],
  ],
];

export const arraysTarget: Target = {
  name: "arrays",
  samples: () => arrays.map(packEntries),
  mutations: [
    within(
      unpackEntries,
      mutateEntries((name) => (file, draw, other) => {
        if (!name.endsWith(".gz") || draw(3) === 0) return mutateBytes(file, draw, other);
        return new Uint8Array(gzipSync(mutateBytes(idx([2, 3, 3], bytes(18)), draw, other)));
      }),
      packEntries,
    ),
  ],
  read: async (file, place) => {
    const folder = place();
    writeEntries(folder, unpackEntries(file));
    const [[name] = [""], ...others] = unpackEntries(file);
    const isAlone = others.length === 0 && /^[a-z]+\.npz$/.test(name);
    return checkDataset(await openDataset(isAlone ? join(folder, name) : folder));
  },
};

async function pictures(): Promise<readonly Uint8Array[]> {
  const image = sharp(Buffer.from(bytes(16 * 12 * 3)), { raw: { width: 16, height: 12, channels: 3 } });
  const turned = image.clone().withMetadata({ orientation: 6 });
  const bmp = Buffer.alloc(54 + 4 * 4 * 4);
  bmp.write("BM");
  bmp.writeUInt32LE(bmp.length, 2);
  bmp.writeUInt32LE(54, 10);
  bmp.writeUInt32LE(40, 14);
  [4, 4].forEach((extent, i) => bmp.writeInt32LE(extent, 18 + 4 * i));
  bmp.writeUInt16LE(1, 26);
  bmp.writeUInt16LE(32, 28);
  const files: Entries = [
    ["a.jpg", await turned.clone().jpeg().toBuffer()],
    ["a.jpg", await image.clone().jpeg({ progressive: true }).toBuffer()],
    ["a.webp", await image.clone().webp().toBuffer()],
    ["a.webp", await image.clone().webp({ lossless: true }).toBuffer()],
    ["a.gif", await image.clone().gif().toBuffer()],
    ["a.tiff", await image.clone().tiff().toBuffer()],
    ["a.png", await image.clone().png().toBuffer()],
    ["a.bmp", bmp],
  ];
  return files.map((entry) => packEntries([entry]));
}

export const picturesTarget: Target = {
  name: "pictures",
  samples: pictures,
  mutations: [
    within(
      unpackEntries,
      mutateEntries(() => mutateBytes),
      packEntries,
    ),
  ],
  read: async (file, place) => {
    const folder = place();
    mkdirSync(join(folder, "in"));
    writeEntries(join(folder, "in"), unpackEntries(file));
    const options = { resolution: 4, transform: "center-crop", greyscale: false, background: "#ffffff" } as const;
    return 2 ** 20 + checkDataset(await convertDataset({ source: join(folder, "in"), ...options }));
  },
};
