/** What is measured: each piece of work with its size, its data and the arithmetic it stands for. */

/** A work's inputs are arrays of these shapes; every contender gets the same numbers. */
export type Work =
  | { readonly kind: "matmul"; readonly size: number }
  | { readonly kind: "conv"; readonly batch: number; readonly channels: number; readonly resolution: number }
  | { readonly kind: "chain"; readonly length: number }
  | { readonly kind: "reduce"; readonly rows: number; readonly columns: number }
  | { readonly kind: "softmax"; readonly rows: number; readonly columns: number };

export type WorkKind = Work["kind"];

export function nameOf(work: Work): string {
  switch (work.kind) {
    case "matmul":
      return `matmul ${work.size}`;
    case "conv":
      return `conv 3x3 ${work.batch}x${work.channels}x${work.resolution}x${work.resolution}`;
    case "chain":
      return `10-op chain ${work.length}`;
    case "reduce":
      return `row sums ${work.rows}x${work.columns}`;
    case "softmax":
      return `softmax ${work.rows}x${work.columns}`;
  }
}

export function shapesOf(work: Work): readonly (readonly number[])[] {
  switch (work.kind) {
    case "matmul":
      return [
        [work.size, work.size],
        [work.size, work.size],
      ];
    case "conv":
      return [
        [work.batch, work.channels, work.resolution, work.resolution],
        [work.channels, work.channels, 3, 3],
      ];
    case "chain":
      return [[work.length], [work.length]];
    case "reduce":
    case "softmax":
      return [[work.rows, work.columns]];
  }
}

/** Rate of a work done in `seconds`: GFLOP/s where arithmetic bounds it, GB/s (inputs and result once) where memory does. */
export function rateOf(work: Work, seconds: number): { readonly value: number; readonly unit: "GFLOP/s" | "GB/s" } {
  const perSecond = (count: number): number => count / seconds / 1e9;
  switch (work.kind) {
    case "matmul":
      return { value: perSecond(2 * work.size ** 3), unit: "GFLOP/s" };
    case "conv":
      return { value: perSecond(2 * 9 * work.batch * (work.channels * work.resolution) ** 2), unit: "GFLOP/s" };
    case "chain":
      return { value: perSecond(12 * work.length), unit: "GB/s" };
    case "reduce":
      return { value: perSecond(4 * (work.rows * work.columns + work.rows)), unit: "GB/s" };
    case "softmax":
      return { value: perSecond(8 * work.rows * work.columns), unit: "GB/s" };
  }
}

/** Numbers in [-1, 1) from a small multiplicative generator: the same for every contender. */
export function dataFor(work: Work): Float32Array[] {
  let state = 1;
  return shapesOf(work).map((shape) =>
    Float32Array.from({ length: shape.reduce((size, axis) => size * axis, 1) }, () => {
      state = (state * 48271) % 2147483647;
      return (2 * state) / 2147483647 - 1;
    }),
  );
}

/** For native speed, and for software GPUs and the gpu.js `cpu` mode, which are hundreds of times slower. */
export const works: { readonly fast: readonly Work[]; readonly slow: readonly Work[] } = {
  fast: [
    { kind: "matmul", size: 256 },
    { kind: "matmul", size: 512 },
    { kind: "conv", batch: 8, channels: 64, resolution: 16 },
    { kind: "chain", length: 2 ** 21 },
    { kind: "reduce", rows: 2048, columns: 1024 },
    { kind: "softmax", rows: 2048, columns: 256 },
  ],
  slow: [
    { kind: "matmul", size: 128 },
    { kind: "conv", batch: 2, channels: 16, resolution: 16 },
    { kind: "chain", length: 2 ** 17 },
    { kind: "reduce", rows: 256, columns: 512 },
    { kind: "softmax", rows: 256, columns: 256 },
  ],
};
