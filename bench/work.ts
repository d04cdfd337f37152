/** Operations and small programs that every engine can spell: sizes, data, and the arithmetic they stand for. */

type Gradients = { readonly gradients: boolean };

/** All arrays are float32 and row-major; images are [N, C, H, W]. */
export type Work =
  | { readonly kind: "matmul"; readonly size: number }
  | ({
      readonly kind: "conv";
      readonly batch: number;
      readonly channels: number;
      readonly resolution: number;
      readonly kernel: 1 | 3;
    } & Gradients)
  /** softmax(q k' / 8) v with heads of 64. */
  | ({
      readonly kind: "attention";
      readonly batch: number;
      readonly heads: number;
      readonly tokens: number;
    } & Gradients)
  /** Four 3x3 convolutions, each with SiLU, and the mean square of it all: value, and gradient of the filters. */
  | { readonly kind: "convNet"; readonly batch: number; readonly channels: number; readonly resolution: number }
  /** Ten element-wise operations of two arrays: plain arithmetic, or with a division, tanh and exp among them. */
  | { readonly kind: "chain"; readonly length: number; readonly functions: "arithmetic" | "smooth" }
  | { readonly kind: "reduce"; readonly rows: number; readonly columns: number; readonly axis: 0 | 1 }
  /** Rows of a table taken by index, and the table's gradient. The second input says which: -1 is the first, 1 the last. */
  | { readonly kind: "embedding"; readonly rows: number; readonly channels: number; readonly taken: number }
  /** Softmax of rows, or rows less their mean over their standard deviation. */
  | ({ readonly kind: "softmax" | "norm"; readonly rows: number; readonly columns: number } & Gradients);

/** What a norm of rows adds to their variance. */
export const normEpsilon = 1e-5;

/** Channels of an attention head. */
export const headChannels = 64;

export const convNetLayers = 4;

export function nameOf(work: Work): string {
  switch (work.kind) {
    case "matmul":
      return `matmul ${work.size}`;
    case "conv":
      return (
        `conv ${work.kernel}x${work.kernel} ${work.batch}x${work.channels}x${work.resolution}x${work.resolution}` +
        (work.gradients ? " with gradients" : "")
      );
    case "attention":
      return `attention ${work.tokens} tokens, ${work.batch}x${work.heads}${work.gradients ? " with gradients" : ""}`;
    case "convNet":
      return `4-layer conv net ${work.batch}x${work.channels}x${work.resolution}x${work.resolution}, value and gradient`;
    case "chain":
      return `10-op chain ${work.length}${work.functions === "smooth" ? ", with tanh and exp" : ""}`;
    case "reduce":
      return `${work.axis === 1 ? "row" : "column"} sums ${work.rows}x${work.columns}`;
    case "embedding":
      return `${work.taken} rows of a table ${work.rows}x${work.channels}, with its gradient`;
    case "softmax":
    case "norm":
      return (
        `${work.kind === "norm" ? "norm of rows" : "softmax"} ${work.rows}x${work.columns}` +
        (work.gradients ? " with gradients" : "")
      );
  }
}

/** An input: uniform in -scale..scale. */
export type InputSpec = { readonly shape: readonly number[]; readonly scale: number };

/** A work's inputs. Where gradients are asked for, the last one is the result's cotangent. */
export function inputsOf(work: Work): readonly InputSpec[] {
  const plain = (...shape: number[]): InputSpec => ({ shape, scale: 1 });
  switch (work.kind) {
    case "matmul":
      return [plain(work.size, work.size), plain(work.size, work.size)];
    case "conv": {
      const image = plain(work.batch, work.channels, work.resolution, work.resolution);
      const filter = plain(work.channels, work.channels, work.kernel, work.kernel);
      return [image, filter, ...(work.gradients ? [image] : [])];
    }
    case "attention": {
      const one = plain(work.batch, work.heads, work.tokens, headChannels);
      return [one, one, one, ...(work.gradients ? [one] : [])];
    }
    case "convNet": {
      const { batch, channels, resolution } = work;
      // Uniform numbers of this size keep the variance from layer to layer.
      const filter = { shape: [channels, channels, 3, 3], scale: Math.sqrt(6 / (9 * channels)) };
      return [plain(batch, channels, resolution, resolution), ...new Array<InputSpec>(convNetLayers).fill(filter)];
    }
    case "chain":
      return [plain(work.length), plain(work.length)];
    case "embedding":
      return [plain(work.rows, work.channels), plain(work.taken), plain(work.taken, work.channels)];
    case "reduce":
      return [plain(work.rows, work.columns)];
    case "softmax":
    case "norm": {
      const rows = plain(work.rows, work.columns);
      return work.gradients ? [rows, rows] : [rows];
    }
  }
}

/** What a run stands for, in billions: arithmetic where that bounds it, else bytes of inputs and results, each once. */
export type Quantity = { readonly amount: number; readonly unit: "GFLOP" | "GB" };

export function quantityOf(work: Work): Quantity {
  const flops = (count: number): Quantity => ({ amount: count / 1e9, unit: "GFLOP" });
  const bytes = (elements: number): Quantity => ({ amount: (4 * elements) / 1e9, unit: "GB" });
  switch (work.kind) {
    case "matmul":
      return flops(2 * work.size ** 3);
    case "conv": {
      const forward = 2 * work.kernel ** 2 * work.batch * (work.channels * work.resolution) ** 2;
      return flops(forward * (work.gradients ? 3 : 1));
    }
    case "attention": {
      const forward = 4 * work.batch * work.heads * work.tokens ** 2 * headChannels;
      return flops(forward * (work.gradients ? 3 : 1));
    }
    case "convNet": {
      const layer = 2 * 9 * work.batch * (work.channels * work.resolution) ** 2;
      // The first layer's input has no gradient.
      return flops(layer * (3 * convNetLayers - 1));
    }
    case "chain":
      return bytes(3 * work.length);
    case "reduce":
      return bytes(work.rows * work.columns + (work.axis === 1 ? work.rows : work.columns));
    case "embedding":
      // The rows that are taken, those taken and their cotangent; the whole gradient.
      return bytes(work.channels * (3 * work.taken + work.rows));
    case "softmax":
    case "norm":
      return bytes((work.gradients ? 4 : 2) * work.rows * work.columns);
  }
}

/** The work's numbers, from one small multiplicative generator: the same for every contender. */
export function dataFor(work: Work): Float32Array[] {
  let state = 1;
  return inputsOf(work).map(({ shape, scale }) => {
    const values = new Float32Array(shape.reduce((size, axis) => size * axis, 1));
    for (let i = 0; i < values.length; i++) {
      state = (state * 48271) % 2147483647;
      values[i] = ((2 * state) / 2147483647 - 1) * scale;
    }
    return values;
  });
}
