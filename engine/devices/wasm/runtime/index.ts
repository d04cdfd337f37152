/**
 * Memory and threads while programs run: what is allocated where, who waits for whom. Knows nothing of kernels; imports `assembler`
 * only to try what this machine has.
 */
export { readData, writeData } from "./deviceBuffer.ts";
export { enableRelaxedSimd } from "./deviceRelaxed.ts";
export { LinearMemory } from "./memory.ts";
export { OwnedMemory } from "./ownedMemory.ts";
export { Crew, type RunFunction } from "./threads.ts";
export { control } from "./threadsControl.ts";
export { canShareMemory, threadCount } from "./threadsHost.ts";
export { webAssembly } from "./webAssembly.ts";
