/** Networks on a disk: trees of arrays as safetensors files. Only for Node. */
export { loadTree, saveTree } from "./files/node.ts";
