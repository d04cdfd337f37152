import { and, shiftLeft, shiftRight, type Tensor } from "../../engine/index.ts";
import type { ElementType } from "../format/elementTypes.ts";

/** What a type of 8 or 16 bits holds of 32-bit integers: their low bits. Other types are left alone. */
export function wrapped(x: Tensor, type: ElementType): Tensor {
  switch (type) {
    case "u8":
      return and(x, 0xff);
    case "u16":
      return and(x, 0xffff);
    case "i8":
      return shiftRight(shiftLeft(x, 24), 24);
    case "i16":
      return shiftRight(shiftLeft(x, 16), 16);
    default:
      return x;
  }
}
