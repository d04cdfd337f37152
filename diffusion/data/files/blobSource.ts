import { EvenkeelError, messageOf } from "../../../engine/index.ts";
import { blobFile, type GivenFile } from "../../../engine/io/index.ts";
import { openZip } from "./zipFile.ts";
import { endingOf } from "./fileKinds.ts";
import { FileNames } from "./fileNames.ts";
import { type FileSource, maximumFileBytes, TooLarge } from "./fileSource.ts";
import { type Reading, readingOf } from "./reading.ts";

/**
 * Opens files that a page was given: a single `.zip` or `.npz` as the archive that it is, others as `blobSource`.
 * @param name what messages and the data set call it.
 * @throws EvenkeelError `file` for a damaged archive, and as `blobSource`.
 * @example
 * ```ts
 * import { encodePng } from "evenkeel/diffusion/sample";
 *
 * const png = new Blob([new Uint8Array(encodePng({ width: 2, height: 2, channels: 1, data: Uint8Array.of(0, 1, 2, 3) }))]);
 * const source = await openPicked("picked", [{ path: "a.png", blob: png }, { path: "b.png", blob: png }]);
 * console.log(source.files); // [ 'a.png', 'b.png' ]
 * ```
 */
export async function openPicked(
  name: string,
  files: readonly GivenFile[],
  reading: Partial<Reading> = {},
): Promise<FileSource> {
  const [first, second] = files;
  const isArchive = first !== undefined && second === undefined && [".zip", ".npz"].includes(endingOf(first.path));
  if (!isArchive) return blobSource(name, files, reading);
  return openZip(await blobFile(first.path, first.blob).open(), name, readingOf(reading));
}

/**
 * Files that a page was given, as a folder: a dropped one with all below it, or picked files. A file of images that holds all finds its labels
 * if these were given with it.
 * @param name what messages and the data set call it.
 * @param reading told of litter, which is left out, and of names that were read in another form.
 * @throws EvenkeelError `file` if two files have the same path.
 * @example
 * ```ts
 * import { encodePng } from "evenkeel/diffusion/sample";
 *
 * const png = new Blob([new Uint8Array(encodePng({ width: 2, height: 2, channels: 1, data: Uint8Array.of(0, 1, 2, 3) }))]);
 * const source = blobSource("dropped", [{ path: "cats/a.png", blob: png }, { path: "dogs/b.png", blob: png }]);
 * const dataset = await openDataset(source);
 * console.log(dataset.count, dataset.classNames); // 2 [ 'cats', 'dogs' ]
 * ```
 */
export function blobSource(name: string, files: readonly GivenFile[], reading: Partial<Reading> = {}): FileSource {
  const names = new FileNames<Blob>(name, readingOf(reading));
  for (const { path, blob } of files) {
    try {
      names.add(path, blob);
    } catch (cause) {
      throw new EvenkeelError("file", `can't list ${name}: ${messageOf(cause)}.`, { cause });
    }
  }
  const nameOf = (file: string): string => `${name}/${file}`;
  const withBlob = async (file: string, task: (blob: Blob) => Blob): Promise<Uint8Array> => {
    try {
      const blob = names.get(file);
      if (blob === undefined) throw new Error("it isn't there");
      return new Uint8Array(await task(blob).arrayBuffer());
    } catch (cause) {
      throw new EvenkeelError("file", `can't read ${nameOf(file)}: ${messageOf(cause)}`, { cause });
    }
  };
  return {
    name,
    files: names.sorted,
    wanted: null,
    nameOf,
    read: (file, maximumBytes = maximumFileBytes) =>
      withBlob(file, (blob) => {
        if (blob.size > maximumBytes) throw new TooLarge(`it has ${blob.size} bytes, more than ${maximumBytes}`);
        return blob;
      }),
    head: (file, bytes) => withBlob(file, (blob) => blob.slice(0, bytes)),
    close: async () => undefined,
  };
}
