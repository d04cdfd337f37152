import { open } from "node:fs/promises";
import { promisify } from "node:util";
import { crc32 } from "node:zlib";
import yauzl from "yauzl";
import { EvenkeelError } from "../../../engine/index.ts";
import { type FileSource, isLitter, maximumFileBytes, messageOf } from "./imageSource.ts";

/** Entries of an archive, at most. */
const maximumEntries = 10_000_000;

/**
 * The files of a zip archive, stored or deflated; read one at a time. Sizes are checked before anything is unpacked, checksums after.
 * @throws EvenkeelError `file` for a damaged archive, names that lead out of it or come twice.
 */
export async function openZip(path: string): Promise<FileSource> {
  const fail = (problem: string, cause?: unknown): never => {
    throw new EvenkeelError("file", `${path}: ${problem}`, { cause });
  };
  const openFile = promisify<string, yauzl.Options, yauzl.ZipFile>(yauzl.open);
  const zip = await openFile(path, { lazyEntries: true, autoClose: false, validateEntrySizes: true }).catch(
    (cause: unknown) => fail(`can't be read as a zip: ${messageOf(cause)}`, cause),
  );
  let directory: Directory;
  try {
    directory = await listEntries(zip);
    await checkEnd(path, directory.bytes);
  } catch (cause) {
    zip.close();
    return fail(messageOf(cause), cause);
  }
  const { entries } = directory;
  const openEntry = promisify(zip.openReadStream.bind(zip) as (entry: yauzl.Entry, done: StreamCallback) => void);
  return {
    name: path,
    files: [...entries.keys()].sort(),
    read: async (file) => {
      const entry = entries.get(file) ?? fail(`holds no ${file}`);
      try {
        const stream = await openEntry(entry);
        const chunks: Buffer[] = [];
        for await (const chunk of stream) chunks.push(chunk as Buffer);
        const bytes = Buffer.concat(chunks);
        if (crc32(bytes) !== entry.crc32) throw new Error("its checksum is wrong, so it is damaged");
        return bytes;
      } catch (cause) {
        return fail(`${file}: ${messageOf(cause)}`, cause);
      }
    },
    [Symbol.asyncDispose]: async () => zip.close(),
  };
}

/** What an archive's directory lists, without folders and litter, and the bytes of all that it lists. */
type Directory = { readonly entries: ReadonlyMap<string, yauzl.Entry>; readonly bytes: number };

async function listEntries(zip: yauzl.ZipFile): Promise<Directory> {
  if (zip.entryCount > maximumEntries) throw new Error(`claims ${zip.entryCount} entries`);
  const entries = new Map<string, yauzl.Entry>();
  let bytes = 0;
  await new Promise<void>((resolve, reject) => {
    zip.on("error", reject);
    zip.on("end", resolve);
    zip.on("entry", (entry: yauzl.Entry) => {
      const { fileName, uncompressedSize } = entry;
      bytes += 46 + entry.fileNameLength + entry.extraFieldLength + entry.fileCommentLength;
      if (!fileName.endsWith("/") && !isLitter(fileName)) {
        if (entries.has(fileName)) return reject(new Error(`holds ${fileName} twice`));
        if (uncompressedSize > maximumFileBytes) {
          return reject(new Error(`${fileName} claims ${uncompressedSize} bytes, more than an image would`));
        }
        entries.set(fileName, entry);
      }
      zip.readEntry();
    });
    zip.readEntry();
  });
  return { entries, bytes };
}

/** Whether the archive's end tells of a directory as long as what was listed: else some files, or the labels, would go missing. */
async function checkEnd(path: string, listedBytes: number): Promise<void> {
  await using handle = await open(path, "r");
  const { size } = await handle.stat();
  // An end of 22 bytes and a comment of less than 64 KiB.
  const tail = Buffer.alloc(Math.min(size, 22 + 2 ** 16));
  await handle.read(tail, 0, tail.length, size - tail.length);
  const end = tail.lastIndexOf(Buffer.from("PK\x05\x06", "latin1"), tail.length - 22);
  const claimed = end < 0 ? NaN : tail.readUInt32LE(end + 12);
  // All ones: the size stands elsewhere, as it is larger than 4 GiB.
  if (claimed !== listedBytes && claimed !== 2 ** 32 - 1) {
    throw new Error(`lists ${listedBytes} bytes of files where its end tells of ${claimed}, so it is damaged`);
  }
}

type StreamCallback = (error: Error | null, stream: NodeJS.ReadableStream) => void;
