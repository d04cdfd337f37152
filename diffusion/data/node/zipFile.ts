import { promisify } from "node:util";
import yauzl from "yauzl";
import { EvenkeelError } from "../../../engine/index.ts";
import { type FileSource, maximumFileBytes, messageOf } from "./imageSource.ts";

/** Entries of an archive, at most. */
const maximumEntries = 10_000_000;

/**
 * The files of a zip archive, stored or deflated; read one at a time. Sizes are checked before anything is unpacked.
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
  const entries = new Map<string, yauzl.Entry>();
  try {
    if (zip.entryCount > maximumEntries) fail(`claims ${zip.entryCount} entries`);
    await new Promise<void>((resolve, reject) => {
      zip.on("error", reject);
      zip.on("end", resolve);
      zip.on("entry", (entry: yauzl.Entry) => {
        if (!entry.fileName.endsWith("/")) {
          if (entries.has(entry.fileName)) reject(new Error(`holds ${entry.fileName} twice`));
          if (entry.uncompressedSize > maximumFileBytes) {
            reject(new Error(`${entry.fileName} claims ${entry.uncompressedSize} bytes, more than an image would`));
          }
          entries.set(entry.fileName, entry);
        }
        zip.readEntry();
      });
      zip.readEntry();
    });
  } catch (cause) {
    zip.close();
    fail(messageOf(cause), cause);
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
        return Buffer.concat(chunks);
      } catch (cause) {
        return fail(`${file}: ${messageOf(cause)}`, cause);
      }
    },
    [Symbol.asyncDispose]: async () => zip.close(),
  };
}

type StreamCallback = (error: Error | null, stream: NodeJS.ReadableStream) => void;
