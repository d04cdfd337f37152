import { diskFile } from "../../engine/io/node.ts";
import { readDynamicsFile } from "./dynamicsFile.ts";
import type { Dynamics } from "./format.ts";

/** What the dynamics file at a path holds, as `readDynamicsFile` reads it; null if there is none. @throws EvenkeelError `file`. */
export function readDynamics(path: string): Promise<Dynamics | null> {
  return readDynamicsFile(diskFile(path));
}
