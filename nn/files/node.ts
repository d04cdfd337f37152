/** Trees of arrays as safetensors files of a disk. Only for Node. */
export { loadTree, saveTree } from "./treePath.ts";
