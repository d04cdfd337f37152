import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { pipeline } from "node:stream/promises";
import { fileSystemError } from "../engine/io/node.ts";

/** What tells a file's content from another's, wherever it lies: SHA-256. @throws EvenkeelError `file` if it can't be read. */
export async function fileDigest(path: string): Promise<string> {
  const hash = createHash("sha256");
  await pipeline(createReadStream(path), hash).catch((cause: unknown) => {
    throw fileSystemError(path, "reading it", cause);
  });
  return hash.digest("hex");
}
