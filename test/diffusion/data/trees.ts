import { mkdir, mkdtemp, symlink, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { encode } from "fast-png";
import fc from "fast-check";
import sharp from "sharp";
import { rawZip } from "./sampleFiles.ts";

/** A file of a tree: its path in pieces, and what it holds. */
export type TreeFile = {
  readonly folder: string;
  readonly name: string;
  readonly content: "png" | "jpeg" | "text" | "halfPng" | "nothing";
};

/** Files as people have them, in a folder or an archive. */
export type Tree = {
  readonly files: readonly TreeFile[];
  /** Whether each file (and one that isn't there) has a label in a `dataset.json`: its place among the files. Null: there is no such file. */
  readonly labelled: readonly boolean[] | null;
  /** A second way to a folder of the tree, if there is such a folder. */
  readonly link: { readonly name: string; readonly to: string } | null;
  /** How an archive writes its names. */
  readonly prefix: "" | "./" | ".//./";
};

const folders = [
  "",
  "cats",
  "dogs",
  "a b",
  "Kühe",
  "日本/d/e/e/p/e/r",
  "x\\y",
  "#1 %41",
  ".git",
  "__MACOSX/cats",
  "cats/.cache",
];
const bases = ["a", "B", "ä ö", "😀", "1.2", "-x", " lead", "q'uo\"te", "semi;colon", "back\\slash", "UPPER"];
const pictureEndings = [".png", ".PNG", ".Jpg", ".jfif", ".jpe", ".webp"];
const otherEndings = [".heic", ".CR2", ".txt", ".mov", ".xyz", "", ".npy", ".tar.gz", ".json"];
const litter = [".DS_Store", "Thumbs.db", "desktop.ini", "._a.png", "~$a.png", "a.png.part"];

/** What the file's name says, in a way of our own. */
export function kindOf({ folder, name }: TreeFile): "litter" | "picture" | "other" {
  const parts = pathOf({ folder, name }).split("/");
  if (parts.some((part) => part.startsWith(".") || part === "__MACOSX" || litter.includes(part))) return "litter";
  return /\.(png|jpe?g|jfif|jpe|webp)$/i.test(name) ? "picture" : "other";
}

/** A file's path as readers have it. */
export function pathOf({ folder, name }: Pick<TreeFile, "folder" | "name">): string {
  return `${folder}/${name}`.replaceAll("\\", "/").replace(/^\//, "");
}

const treeFiles: fc.Arbitrary<TreeFile> = fc.oneof(
  { weight: 6, arbitrary: namesOf(pictureEndings, ["png", "jpeg", "png", "halfPng", "text", "nothing"]) },
  { weight: 3, arbitrary: namesOf(otherEndings, ["text", "jpeg", "nothing"]) },
  {
    weight: 1,
    arbitrary: fc.record({
      folder: fc.constantFrom(...folders),
      name: fc.constantFrom(...litter),
      content: fc.constant("text" as const),
    }),
  },
);

function namesOf(endings: readonly string[], contents: readonly TreeFile["content"][]): fc.Arbitrary<TreeFile> {
  return fc.record({
    folder: fc.constantFrom(...folders),
    name: fc.tuple(fc.constantFrom(...bases), fc.constantFrom(...endings)).map(([base, ending]) => base + ending),
    content: fc.constantFrom(...contents),
  });
}

const maximumFiles = 9;

export const trees: fc.Arbitrary<Tree> = fc.record({
  files: fc.uniqueArray(treeFiles, { minLength: 1, maxLength: maximumFiles, selector: pathOf }),
  link: fc.option(
    fc.record({ name: fc.constantFrom("linked", "zz/linked"), to: fc.constantFrom("cats", "Kühe", "x\\y") }),
  ),
  labelled: fc.option(fc.array(fc.boolean(), { minLength: maximumFiles + 1, maxLength: maximumFiles + 1 })),
  prefix: fc.constantFrom("", "./", ".//./"),
});

/** What a tree's `dataset.json` says of labels; null without such a file, or if it lists none. */
export function labelsOf({ files, labelled }: Tree): ReadonlyMap<string, number> | null {
  const named = [...files.map(pathOf), "gone.png"];
  const labels = named.map((name, place) => [name, place] as const).filter((_, place) => labelled?.[place]);
  return labels.length === 0 ? null : new Map(labels);
}

/** All files of a tree, those behind its link twice; each with the place of its content among the tree's files. */
export function filesOf({ files, link }: Tree): readonly (TreeFile & { readonly place: number })[] {
  const placed = files.map((file, place) => ({ ...file, place }));
  if (link === null) return placed;
  const behind = placed.filter(({ folder }) => isWithin(folder, link.to));
  return [...placed, ...behind.map((file) => ({ ...file, folder: link.name + file.folder.slice(link.to.length) }))];
}

function isWithin(folder: string, other: string): boolean {
  return folder === other || folder.startsWith(`${other}/`);
}

/** Of a file's grey from the next one's. */
export const greyStep = 20;

/** What a file holds: a picture in a grey of its own, or none. */
async function bytesOf({ content }: TreeFile, place: number): Promise<Uint8Array> {
  const grey = new Uint8Array(2 * 2 * 3).fill(place * greyStep);
  const png = encode({ width: 2, height: 2, channels: 3, depth: 8, data: grey });
  switch (content) {
    case "png":
      return png;
    case "jpeg":
      return sharp(grey, { raw: { width: 2, height: 2, channels: 3 } })
        .jpeg({ quality: 100 })
        .toBuffer();
    case "halfPng":
      return png.subarray(0, png.length / 2);
    case "text":
      return Buffer.from("no picture at all");
    case "nothing":
      return new Uint8Array(0);
  }
}

/** Writes a tree as a folder and as an archive. */
export async function writeTree(tree: Tree, root: string): Promise<{ readonly folder: string; readonly zip: string }> {
  const here = await mkdtemp(join(root, "tree-"));
  const folder = join(here, "data");
  await mkdir(folder);
  const contents = await Promise.all(tree.files.map(bytesOf));
  for (const [i, { folder: below, name }] of tree.files.entries()) {
    await mkdir(join(folder, below), { recursive: true });
    await writeFile(join(folder, below, name), contents[i] ?? "");
  }
  const { link, files, labelled } = tree;
  if (labelled !== null)
    await writeFile(join(folder, "dataset.json"), JSON.stringify({ labels: [...(labelsOf(tree) ?? [])] }));
  if (link !== null && files.some((file) => isWithin(file.folder, link.to))) {
    await mkdir(dirname(join(folder, link.name)), { recursive: true });
    await symlink(join(folder, link.to), join(folder, link.name));
  }
  const zip = join(here, "data.zip");
  const entries = filesOf(tree).map(({ folder: below, name, place }) => {
    const path = below === "" ? name : `${below}/${name}`;
    return [`${tree.prefix}${path}`, contents[place] ?? new Uint8Array(0)] as const;
  });
  const described = [
    `${tree.prefix}dataset.json`,
    Buffer.from(JSON.stringify({ labels: [...(labelsOf(tree) ?? [])] })),
  ] as const;
  await writeFile(zip, rawZip(labelled === null ? entries : [...entries, described]));
  return { folder, zip };
}
