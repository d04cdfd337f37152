/** Files that a page is given are read as the same files of a folder. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { before, describe, it } from "node:test";
import { gzipSync } from "node:zlib";
import fc from "fast-check";
import {
  blobSource,
  convertPictures,
  fingerprint,
  type ImageDataset,
  type Notice,
  Notices,
  openDataset,
  openPicked,
  undecodedPictures,
} from "../../../diffusion/data/index.ts";
import { convertDataset, damagedPictures, openDataset as openFolder } from "../../../diffusion/data/node.ts";
import { EvenkeelError } from "../../../engine/index.ts";
import { decode, picked } from "./picked.ts";
import { idx, noise, npy, png, rawZip, temporaryFolder } from "./sampleFiles.ts";
import { trees, writeTree } from "./trees.ts";

const { folderOf } = temporaryFolder();

type Outcome = { readonly dataset: ImageDataset | EvenkeelError; readonly notices: readonly Notice[] };

async function outcomeOf(task: (notices: Notices) => Promise<ImageDataset>): Promise<Outcome> {
  const notices = new Notices();
  const dataset = await task(notices).catch((cause: unknown) => {
    if (cause instanceof EvenkeelError) return cause;
    throw cause;
  });
  return { dataset, notices: notices.list };
}

/** What is told, without the order in which the files were met, and in the words of a page. */
function sorted(notices: readonly Notice[]): unknown {
  return notices
    .map(({ what, names, ...rest }) => ({
      ...rest,
      what: what === damagedPictures ? undecodedPictures : what.replace(/ \(--background\)$/, ""),
      names: names.toSorted(),
    }))
    .sort((a, b) => (`${a.effect}${a.what}` < `${b.effect}${b.what}` ? -1 : 1));
}

function assertSame(page: Outcome, disk: Outcome): void {
  assert.deepEqual(sorted(page.notices), sorted(disk.notices));
  if (page.dataset instanceof EvenkeelError || disk.dataset instanceof EvenkeelError) {
    assert.ok(disk.dataset instanceof EvenkeelError, "only a page refuses it");
    assert.ok(page.dataset instanceof EvenkeelError, "only a disk's reader refuses it");
    assert.equal(page.dataset.code, disk.dataset.code);
    return;
  }
  const facts = ({ name, classNames, labels }: ImageDataset): unknown => ({ name, classNames, labels });
  assert.deepEqual(facts(page.dataset), facts(disk.dataset));
  assert.equal(fingerprint(page.dataset), fingerprint(disk.dataset));
}

const openedBoth = async (folder: string): Promise<readonly [Outcome, Outcome]> => {
  const files = await picked(folder);
  return [
    await outcomeOf((notices) => openDataset(blobSource(folder, files, { notices }), { notices })),
    await outcomeOf((notices) => openFolder(folder, { notices })),
  ];
};

describe("blobSource", () => {
  let root = "";
  before(async () => {
    root = await folderOf({ "nothing.txt": "" });
  });

  it("gives what a folder of the same files gives, opened and converted, and tells the same", async () => {
    await fc.assert(
      fc.asyncProperty(trees, async (tree) => {
        const { folder } = await writeTree({ ...tree, link: null }, root);
        assertSame(...(await openedBoth(folder)));
        const files = await picked(folder);
        const options = { resolution: 2, transform: "contain", greyscale: false } as const;
        const page = await outcomeOf((notices) => {
          const more = { background: [255, 255, 255], decode } as const;
          return convertPictures(blobSource(folder, files, { notices }), { ...options, ...more }, { notices });
        });
        const disk = await outcomeOf((notices) =>
          convertDataset({ source: folder, ...options, background: "#ffffff", notices }),
        );
        assertSame(page, disk);
      }),
      { numRuns: 40 },
    );
  });

  it("reads sets in one file, with what was given beside it", async () => {
    const images = idx([5, 4, 4], noise(80));
    for (const files of [
      {
        "train-images-idx3-ubyte.gz": gzipSync(images),
        "train-labels-idx1-ubyte": idx([5], Uint8Array.of(0, 1, 2, 1, 0)),
      },
      { "images-idx3-ubyte": images },
      { "x.npy": npy("|u1", [5, 4, 4, 3], noise(240)), "x-labels.npy": npy("|u1", [5], Uint8Array.of(0, 1, 2, 1, 0)) },
      { "a/1.png": png(4, 4, 3), "b/1.png": png(4, 4, 3), "b/2.png": png(4, 4, 3), "a/notes.txt": "x" },
    ]) {
      const [page, disk] = await openedBoth(await folderOf(files));
      assert.ok(!(page.dataset instanceof EvenkeelError), "it is a data set");
      assertSame(page, disk);
    }
  });

  it("reads an archive that is given by itself", async () => {
    const array = npy("|u1", [5, 4, 4, 3], noise(240));
    const pictures = rawZip([
      ["a/1.png", png(4, 4, 3)],
      ["b/1.png", png(4, 4, 3)],
      [".DS_Store", noise(3)],
    ]);
    for (const [file, content] of [
      ["set.ZIP", pictures],
      ["set.npz", rawZip([["images.npy", array]], { isPacked: true })],
      ["cut.zip", pictures.subarray(0, 90)],
    ] as const) {
      const path = join(await folderOf({ [file]: content }), file);
      const blobs = [{ path: file, blob: new Blob([new Uint8Array(content)]) }];
      const page = await outcomeOf(async (notices) => {
        const source = await openPicked(path, blobs, { notices });
        return openDataset(source, { notices }).finally(() => source.close());
      });
      const disk = await outcomeOf((notices) => openFolder(path, { notices }));
      assert.equal(page.dataset instanceof EvenkeelError, file === "cut.zip");
      assertSame(page, disk);
    }
  });

  it("refuses a file that comes twice, too large ones, and those that the browser doesn't give any more", async () => {
    const blob = new Blob([png(2, 2, 3)]);
    assert.throws(
      () =>
        blobSource("x", [
          { path: "a.png", blob },
          { path: "./a.png", blob },
        ]),
      { code: "file", message: /can't list x: holds a\.png twice/ },
    );
    const source = blobSource("x", [{ path: "a.png", blob }]);
    await assert.rejects(source.read("a.png", blob.size - 1), {
      code: "file",
      message: /can't read x\/a\.png: it has/,
    });
    await assert.rejects(source.read("b.png"), { code: "file", message: /can't read x\/b\.png: it isn't there/ });
    assert.deepEqual([...(await source.head("a.png", 4))], [0x89, 0x50, 0x4e, 0x47]);
    const gone = new Blob([new Uint8Array(9)]);
    gone.arrayBuffer = () => Promise.reject(new DOMException("it was moved", "NotReadableError"));
    const files = [
      { path: "a.png", blob },
      { path: "b.png", blob: gone },
    ];
    const { dataset, notices } = await outcomeOf((told) =>
      convertPictures(
        blobSource("x", files),
        { resolution: 2, transform: "contain", greyscale: false, background: [0, 0, 0], decode },
        { notices: told },
      ),
    );
    assert.ok(!(dataset instanceof EvenkeelError), "it is a data set");
    assert.deepEqual(
      notices.map(({ what, names }) => [what.slice(0, 22), names]),
      [["files that can't be op", ["b.png"]]],
    );
  });
});
