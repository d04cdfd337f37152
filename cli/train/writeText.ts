import { writeFileAtomically } from "../../engine/io/node.ts";

/** Writes a text file, whole or not at all. */
export function writeText(path: string, text: string): Promise<void> {
  return writeFileAtomically(path, (sink) => sink.write(new TextEncoder().encode(text)));
}
