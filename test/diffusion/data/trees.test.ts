import assert from "node:assert/strict";
import { before, describe, it } from "node:test";
import fc from "fast-check";
import { convertDataset, fingerprint, type Notice, Notices } from "../../../diffusion/node.ts";
import { EvenkeelError } from "../../../engine/index.ts";
import type { ImageDataset } from "../../../diffusion/index.ts";
import { temporaryFolder } from "./sampleFiles.ts";
import { filesOf, greyStep, kindOf, pathOf, type Tree, trees, writeTree } from "./trees.ts";

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

/** The images that a tree holds, in their order, and the names of what else there is. */
function expectedOf(tree: Tree): { readonly greys: readonly number[]; readonly others: readonly string[] } {
  const files = filesOf(tree)
    .map((file) => ({ ...file, path: pathOf(file), kind: kindOf(file) }))
    .sort((a, b) => (a.path < b.path ? -1 : 1));
  const isImage = ({ kind, content }: (typeof files)[number]): boolean =>
    kind === "picture" && (content === "png" || content === "jpeg");
  const others = files
    .filter((file) => !isImage(file))
    .map(({ path: name, kind }) => (kind === "litter" ? litterOf(name) : name));
  return { greys: files.filter(isImage).map(({ place }) => place * greyStep), others: [...new Set(others)].sort() };
}

/** The litter itself, with which all below it goes. */
function litterOf(name: string): string {
  const parts = name.split("/");
  const place = parts.findIndex((part) => kindOf({ folder: "", name: part, content: "text" }) === "litter");
  return parts.slice(0, place + 1).join("/");
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
        const { greys, others } = expectedOf(tree);
        const [inFolder, inZip] = [await outcomeOf(folder), await outcomeOf(zip)];
        for (const { dataset, notices } of [inFolder, inZip]) {
          if (dataset instanceof EvenkeelError) {
            assert.equal(greys.length, 0, dataset.message);
            assert.equal(dataset.code, "file");
            continue;
          }
          assert.equal(dataset.count, greys.length);
          // A JPEG's greys are off by one at most.
          greys.forEach((grey, i) => assert.ok(Math.abs(grey - (dataset.pixels[i * 12] ?? NaN)) <= 1, `image ${i}`));
          const leftOut = notices.filter(({ effect }) => effect === "left out");
          assert.deepEqual(leftOut.flatMap(({ names }) => names).sort(), others);
          assert.equal(
            leftOut.reduce((sum, { count }) => sum + count, 0),
            others.length,
          );
        }
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
