import path from "node:path";
import { EvenkeelError } from "../../engine/index.ts";
import { quoteText, readWhole } from "../../engine/io/index.ts";
import { diskFile } from "../../engine/io/node.ts";
import { externalLocations } from "../format/readModel.ts";
import { type ImportedModel, importOnnx } from "../importOnnx.ts";

/**
 * Reads a model from a file, with the files beside it in which its elements may lie; see `importOnnx`.
 * @throws EvenkeelError `file` if one of them can't be read, or lies elsewhere.
 * @example
 * ```ts
 * import { isTensor, tensor } from "evenkeel/engine";
 * import { writeFile } from "node:fs/promises";
 *
 * // A model of one Relu, from x to y.
 * const base64 = "CAg6MwoMCgF4EgF5IgRSZWx1EgFnWg8KAXgSCgoICAESBAoCCAJiDwoBeRIKCggIARIECgIIAkICEBE=";
 * await writeFile("relu.onnx", Uint8Array.from(atob(base64), (character) => character.charCodeAt(0)));
 * const { apply, parameters } = await readOnnx("relu.onnx");
 * const { y } = apply(parameters, { x: tensor([-1, 2]) });
 * if (isTensor(y)) console.log(await y.array()); // [ 0, 2 ]
 * ```
 */
export async function readOnnx(file: string): Promise<ImportedModel> {
  const bytes = await readWhole(diskFile(file));
  const folder = path.dirname(file);
  const externalData = new Map<string, Uint8Array>();
  for (const location of externalLocations(bytes, file)) {
    const parts = location.split(/[\\/]/);
    if (path.isAbsolute(location) || /^[A-Za-z]:/.test(location) || parts.includes("..")) {
      throw new EvenkeelError(
        "file",
        `${file}: elements are said to lie in ${quoteText(location)}, which is not beside the model.`,
      );
    }
    externalData.set(location, await readWhole(diskFile(path.join(folder, ...parts))));
  }
  return importOnnx(bytes, { path: file, externalData });
}
