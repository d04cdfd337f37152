import type sharpModule from "sharp";
import type { Sharp, SharpOptions } from "sharp";
import { EvenkeelError, messageOf } from "../../../engine/index.ts";

let loaded: typeof sharpModule | undefined;

/**
 * Loads the library that reads and resizes pictures. Only conversion needs it, and it is native, so it is installed by who wants
 * it and not imported with everything else. @throws EvenkeelError `file` if it can't be loaded.
 */
export async function loadSharp(): Promise<void> {
  try {
    loaded ??= (await import("sharp")).default;
  } catch (cause) {
    throw new EvenkeelError(
      "file",
      `converting pictures needs the package sharp, which can't be loaded: ${messageOf(cause).split("\n")[0] ?? ""} ` +
        "`npm install sharp` brings it. Sets of images that need no conversion (IDX, .npy and .npz files, square PNGs of one size) are read without it.",
      { cause },
    );
  }
}

/** A picture of a file's bytes or of options alone. `loadSharp` must have been awaited. */
export function sharp(...args: [SharpOptions] | [string | Uint8Array, SharpOptions?]): Sharp {
  if (loaded === undefined) throw new RangeError("loadSharp was not awaited");
  const [first, options] = args;
  return typeof first === "string" || first instanceof Uint8Array ? loaded(first, options) : loaded(first);
}
