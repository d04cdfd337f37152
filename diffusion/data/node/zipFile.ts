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
  let entries: ReadonlyMap<string, yauzl.Entry>;
  try {
    entries = await listEntries(zip);
  } catch (cause) {
    zip.close();
    return fail(messageOf(cause), cause);
  }
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

/** The directory of an archive without its folders and litter. */
async function listEntries(zip: yauzl.ZipFile): Promise<Map<string, yauzl.Entry>> {
  if (zip.entryCount > maximumEntries) throw new Error(`claims ${zip.entryCount} entries`);
  const entries = new Map<string, yauzl.Entry>();
  await new Promise<void>((resolve, reject) => {
    zip.on("error", reject);
    zip.on("end", resolve);
    zip.on("entry", (entry: yauzl.Entry) => {
      const { fileName, uncompressedSize } = entry;
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
  return entries;
}

type StreamCallback = (error: Error | null, stream: NodeJS.ReadableStream) => void;
