/** Trees of arrays as safetensors files. Safe in a page; `node.ts` takes paths. */
export { type LoadTreeOptions, parseTree, type SaveTreeOptions, serializeTree } from "./treeFile.ts";
