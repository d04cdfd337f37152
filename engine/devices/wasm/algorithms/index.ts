/**
 * How a kernel is computed (`method.ts`): by loops, or by an algorithm of its own: packed products, Winograd's convolutions, chains
 * of scattered rows. Imports the rooms that write code: `assembler`, `math`, `loops`.
 */
export { costOf, type KernelMethod, methodOf, methodsOf } from "./method.ts";
