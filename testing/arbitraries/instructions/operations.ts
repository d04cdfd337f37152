/** All kinds of instructions of random programs. */
import { arrangements, reductions } from "./arranging.ts";
import { matmulsAndConv, otherContractions } from "./contractions.ts";
import { derivatives } from "./derivatives.ts";
import { elementwise } from "./elementwise.ts";
import { indexing } from "./indexing.ts";
import type { Instructions } from "./operands.ts";
import { windows } from "./windows.ts";

/** Every kind of instruction, by name. Which programs a seed draws depends on their order. */
export const operations: Instructions = {
  ...elementwise,
  ...reductions,
  ...arrangements,
  ...indexing,
  ...matmulsAndConv,
  ...derivatives,
  ...windows,
  ...otherContractions,
};
