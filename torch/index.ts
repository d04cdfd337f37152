/**
 * Functions of tensors as source for PyTorch, primitive by primitive, so that what is studied here goes on where large machines are.
 * Safe in a page.
 */
export { exportTorch, exportTorchOfAnySize } from "./exportTorch.ts";
export { torchPrimitives } from "./primitives.ts";
