import assert from "node:assert/strict";
import { before, describe, it } from "node:test";
import fc from "fast-check";
import { convertDataset } from "../../../diffusion/data/node.ts";
import { EvenkeelError } from "../../../engine/index.ts";
import { type ImageDataset, type Notice, Notices } from "../../../diffusion/data/index.ts";
import { temporaryFolder } from "./sampleFiles.ts";
import { filesOf, greyStep, kindOf, labelsOf, pathOf, type Tree, type TreeFile, trees, writeTree } from "./trees.ts";
import { fingerprint } from "../../../diffusion/data/index.ts";

const { folderOf } = temporaryFolder();

type Outcome = { readonly dataset: ImageDataset | EvenkeelError; readonly notices: readonly Notice[] };

async function outcomeOf(source: string): Promise<Outcome> {
  const notices = new Notices();
  const options = { source, resolution: 2, transform: "contain", greyscale: false, background: "#ffffff" } as const;
  const dataset = await convertDataset({ ...options, notices }).catch((cause: unknown) => {
    if (cause instanceof EvenkeelError) return cause;
    throw cause;
  });
  return { dataset, notices: notices.list };
}

/** What is told, without the order in which the files were met, and without what an archive writes before its names. */
function sorted(notices: readonly Notice[]): unknown {
  return notices
    .map((notice) => ({ ...notice, names: notice.names.map((name) => name.replace(/^(\.?\/)+/, "")).sort() }))
    .sort((a, b) => (a.what < b.what ? -1 : 1));
}

type Expected = {
  /** Pictures that can be read, in their order. */
  readonly pictures: readonly (TreeFile & { readonly place: number; readonly path: string })[];
  /** The names of what else there is. */
  readonly others: readonly string[];
};

function expectedOf(tree: Tree): Expected {
  const files = filesOf(tree)
    .map((file) => ({ ...file, path: pathOf(file), kind: kindOf(file) }))
    .sort((a, b) => (a.path < b.path ? -1 : 1));
  const isPicture = ({ kind, content }: (typeof files)[number]): boolean =>
    kind === "picture" && (content === "png" || content === "jpeg");
  const others = files
    .filter((file) => !isPicture(file))
    .map(({ path, kind }) => (kind === "litter" ? litterOf(path) : path));
  return { pictures: files.filter(isPicture), others: [...new Set(others)] };
}

/** The litter itself, with which all below it goes. */
function litterOf(name: string): string {
  const parts = name.split("/");
  const place = parts.findIndex((part) => kindOf({ folder: "", name: part, content: "text" }) === "litter");
  return parts.slice(0, place + 1).join("/");
}

/** Every file is an image of the set, in its order and with its own label, or is named as left out. */
function checkOutcome(tree: Tree, { dataset, notices }: Outcome): void {
  const { pictures, others } = expectedOf(tree);
  const given = labelsOf(tree);
  const hasLabel = ({ path }: { readonly path: string }): boolean => given === null || given.has(path);
  const leftOut = notices.filter(
    ({ effect, what }) => effect === "left out" && !what.startsWith("labels in dataset.json"),
  );
  const names = leftOut.flatMap((notice) => notice.names);
  if (dataset instanceof EvenkeelError) {
    // Nothing is left.
    assert.deepEqual(
      pictures.filter((file) => hasLabel(file) && !names.includes(file.path)),
      [],
      dataset.message,
    );
    assert.equal(dataset.code, "file");
    return;
  }
  assert.equal(names.length, new Set(names).size);
  assert.equal(
    leftOut.reduce((sum, { count }) => sum + count, 0),
    names.length,
  );
  const images = pictures.filter(({ path }) => !names.includes(path));
  assert.deepEqual(
    names.sort(),
    [...others, ...pictures.map(({ path }) => path).filter((path) => names.includes(path))].sort(),
  );
  if (given !== null) assert.deepEqual(images, pictures.filter(hasLabel));
  assert.equal(dataset.count, images.length);
  const { labels, classNames } = dataset;
  images.forEach(({ place, path }, i) => {
    // A JPEG's greys are off by one at most.
    assert.ok(Math.abs(place * greyStep - (dataset.pixels[i * 12] ?? NaN)) <= 1, path);
    const label = labels?.values[i];
    if (given !== null) assert.equal(label, given.get(path));
    else if (label !== undefined)
      assert.ok(
        path
          .split("/")
          .slice(0, -1)
          .includes(classNames?.[label] ?? "none"),
        path,
      );
  });
}

describe("folders and archives of any files", () => {
  let root = "";
  before(async () => {
    root = await folderOf({ "nothing.txt": "" });
  });

  it("give each picture that can be read, and name every other file; an archive gives what its folder gives", async () => {
    await fc.assert(
      fc.asyncProperty(trees, async (tree) => {
        const { folder, zip } = await writeTree(tree, root);
        const [inFolder, inZip] = [await outcomeOf(folder), await outcomeOf(zip)];
        for (const outcome of [inFolder, inZip]) checkOutcome(tree, outcome);
        assert.equal(inFolder.dataset instanceof EvenkeelError, inZip.dataset instanceof EvenkeelError);
        if (inFolder.dataset instanceof EvenkeelError || inZip.dataset instanceof EvenkeelError) return;
        assert.equal(fingerprint(inZip.dataset), fingerprint(inFolder.dataset));
        assert.deepEqual(inZip.dataset.classNames, inFolder.dataset.classNames);
        assert.deepEqual(sorted(inZip.notices), sorted(inFolder.notices));
      }),
      { numRuns: 40 },
    );
  });
});
