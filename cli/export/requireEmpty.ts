import { EvenkeelError } from "../../engine/index.ts";
import { diskFolder } from "../../engine/io/node.ts";
import { exists } from "../exists.ts";

/** Refuses to export into a folder that has files of something else. @throws EvenkeelError `file` that names one. */
export async function requireEmpty(folder: string): Promise<void> {
  if (!(await exists(folder))) return;
  const [first] = await diskFolder(folder).list();
  if (first === undefined) return;
  throw new EvenkeelError(
    "file",
    `export: ${folder} holds files already, such as ${first}; wanted an empty folder. Choose another by --outdir.`,
  );
}
