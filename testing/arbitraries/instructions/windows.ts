/** Instructions of windows, resampling, transforms and small matrices, for random programs. */
import { at } from "../../../engine/graph/shape.ts";
import {
  broadcastTo,
  cholesky,
  determinant,
  fft,
  gridSample,
  inverse,
  inverseFft,
  maxPool,
  maxPoolWithIndices,
  meanPool,
  padEdge,
  padReflect,
  padWrap,
  realFft,
  reshape,
  resize,
  slice,
} from "../../../engine/index.ts";
import { axisOf, choose, flat, type Instructions, lifted, ofRank } from "./operands.ts";

/** Pools, borders, resampling, Fourier transforms and decompositions. */
export const windows: Instructions = {
  pool: ({ of, choices: [c, d] }) => {
    const x = lifted(of(0, choose(["f32", "f32", "i32"] as const, d)));
    if (x.size === 0) return undefined;
    const axes = x.shape.slice(-((c % 2) + 1));
    const size = axes.map((extent) => Math.min(extent, (c % 3) + 1));
    const padding = size.map((extent, axis): [number, number] => [(d >> axis) % extent, d % extent]);
    const options = { size, stride: (d % 3) + 1, padding, ceilMode: d % 5 === 0 };
    if (c % 7 === 0) return maxPoolWithIndices(x, options).indices;
    return x.dtype === "f32" && c % 7 < 3 ? meanPool(x, options) : maxPool(x, options);
  },
  border: ({ any, choices: [c, d] }) => {
    const x = lifted(any(0));
    if (x.size === 0) return undefined;
    return choose([padReflect, padEdge, padWrap], c)(
      x,
      x.shape.map((_, axis) => [(c >> axis) % 3, (d >> axis) % 3] as const),
    );
  },
  resize: ({ of, choices: [c, d] }) => {
    const x = lifted(of(0, "f32"));
    if (x.size === 0) return undefined;
    const mode = choose(["nearest", "linear", "cubic"] as const, c);
    const coordinates = choose(["halfPixel", "alignCorners", "asymmetric"] as const, d);
    return resize(x, { mode, coordinates, size: (d % 11) + 1, antialias: d % 4 === 0, axes: [axisOf(x, c)] });
  },
  gridSample: ({ of, choices: [c, d] }) => {
    const x = ofRank(of(0, "f32"), 3);
    const places = flat(of(1, "f32"));
    if (x.size === 0 || places.size === 0) return undefined;
    const some = slice(places, [[0, Math.min(places.size, 5)]]);
    const grid = broadcastTo(reshape(some, [1, some.size, 1]), [at(x.shape, 0), some.size, 1]);
    const padding = choose(["zeros", "border", "reflection"] as const, c);
    return gridSample(x, grid, { padding, mode: choose(["nearest", "linear"] as const, d), alignCorners: d % 3 === 0 });
  },
  transform: ({ of, choices: [c] }) => {
    const x = lifted(of(0, "f32"));
    const axis = axisOf(x, c);
    if (x.size === 0 || at(x.shape, axis) > 70) return undefined;
    return choose([fft, inverseFft, realFft], c)(x, axis)[c % 2 === 0 ? "real" : "imaginary"];
  },
  matrices: ({ of, choices: [c, d] }) => {
    const x = ofRank(of(0, "f32"), 2);
    const size = Math.min(at(x.shape, 0), at(x.shape, 1), (d % 4) + 1);
    const matrix = slice(x, [
      [0, size],
      [0, size],
    ]);
    return choose([determinant, inverse, cholesky], c)(matrix);
  },
};
