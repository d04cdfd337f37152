import os from "node:os";
import path from "node:path";
import { EvenkeelError, messageOf } from "../../../engine/index.ts";
import { makeFolder } from "../../../engine/io/node.ts";

/**
 * The folder for what can be made again: EVENKEEL_CACHE, or `.cache/evenkeel` in the user's home. Makes it if it isn't there.
 * @throws EvenkeelError `file` if it can't be made.
 */
export async function cacheFolder(): Promise<string> {
  const given = process.env.EVENKEEL_CACHE;
  const folder = given !== undefined && given !== "" ? given : path.join(os.homedir(), ".cache", "evenkeel");
  await makeFolder(folder).catch((cause: unknown) => {
    const why = messageOf(cause);
    throw new EvenkeelError("file", `${why} Set EVENKEEL_CACHE to another.`, { cause });
  });
  return folder;
}
