/** WebGPU's usage bits by the values of its specification: Node has no globals `GPUBufferUsage` and `GPUMapMode`. */
export const usage = {
  mapRead: 0x0001,
  copySource: 0x0004,
  copyDestination: 0x0008,
  uniform: 0x0040,
  storage: 0x0080,
  queryResolve: 0x0200,
} as const;

export const mapMode = { read: 0x0001 } as const;
