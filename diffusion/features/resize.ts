/** How pictures are brought to a network's size. */
export type ResizeMethod =
  /** Bilinear between pixel centres, the outermost of both pictures upon each other. No smoothing before shrinking. As nsfwjs. */
  | "bilinear-aligned"
  /** Bilinear at i * in / out, without half a pixel's shift or smoothing: TensorFlow 1, and so the published FID. */
  | "bilinear-tensorflow1"
  /** Bilinear at (i + 1/2) * in / out - 1/2, no smoothing. */
  | "bilinear"
  /** Keys' cubic with a = -1/2, widened when shrinking, rounded to a byte after each direction: Pillow. */
  | "bicubic-pillow";

/** The pixels of a line that one new pixel is made of, and their weights, which sum to 1. */
type Taps = { readonly first: number; readonly weights: readonly number[] };

/**
 * Makes [size, size] of one channel u8 [height, width]: `scale * value + shift` with values in 0..255, written to `target` from `offset`
 * on. First along lines, then across them, in float64.
 */
export type ChannelResizer = (
  channel: Uint8Array,
  target: Float32Array,
  offset: number,
  scale: number,
  shift: number,
) => void;

/** A resizer for channels of one size. */
export function channelResizer(method: ResizeMethod, height: number, width: number, size: number): ChannelResizer {
  const [rows, columns] = [tapsOf(method, height, size), tapsOf(method, width, size)];
  const round = method === "bicubic-pillow" ? toByte : (value: number) => value;
  const lines = new Float64Array(height * size);
  return (channel, target, offset, scale, shift) => {
    for (let y = 0; y < height; y++) {
      for (let x = 0; x < size; x++) {
        const { first, weights } = columns[x] ?? none;
        let sum = 0;
        for (let k = 0; k < weights.length; k++) sum += (weights[k] ?? 0) * (channel[y * width + first + k] ?? 0);
        lines[y * size + x] = round(sum);
      }
    }
    for (let y = 0; y < size; y++) {
      const { first, weights } = rows[y] ?? none;
      for (let x = 0; x < size; x++) {
        let sum = 0;
        for (let k = 0; k < weights.length; k++) sum += (weights[k] ?? 0) * (lines[(first + k) * size + x] ?? 0);
        target[offset + y * size + x] = scale * round(sum) + shift;
      }
    }
  };
}

const none: Taps = { first: 0, weights: [] };

const toByte = (value: number): number => Math.min(Math.max(Math.floor(value + 0.5), 0), 255);

function tapsOf(method: ResizeMethod, from: number, to: number): readonly Taps[] {
  const places = Array.from({ length: to }, (_, i) => i);
  switch (method) {
    case "bilinear-aligned":
      return places.map((i) => linearTaps(to === 1 ? 0 : (i * (from - 1)) / (to - 1), from));
    case "bilinear-tensorflow1":
      return places.map((i) => linearTaps((i * from) / to, from));
    case "bilinear":
      return places.map((i) => linearTaps(Math.max(((i + 0.5) * from) / to - 0.5, 0), from));
    case "bicubic-pillow":
      return places.map((i) => cubicTaps(((i + 0.5) * from) / to, Math.max(from / to, 1), from));
  }
}

function linearTaps(place: number, from: number): Taps {
  const first = Math.min(Math.floor(place), from - 1);
  const fraction = place - first;
  return fraction === 0 || first === from - 1 ? { first, weights: [1] } : { first, weights: [1 - fraction, fraction] };
}

function cubicTaps(centre: number, widening: number, from: number): Taps {
  const reach = 2 * widening;
  const first = Math.max(Math.trunc(centre - reach + 0.5), 0);
  const end = Math.min(Math.trunc(centre + reach + 0.5), from);
  const raw = Array.from({ length: end - first }, (_, k) => keysCubic((first + k + 0.5 - centre) / widening));
  const total = raw.reduce((sum, weight) => sum + weight, 0);
  return { first, weights: raw.map((weight) => weight / total) };
}

/** Keys 1981, equation 15: a = -1/2. */
function keysCubic(distance: number): number {
  const t = Math.abs(distance);
  if (t < 1) return (1.5 * t - 2.5) * t * t + 1;
  return t < 2 ? ((-0.5 * t + 2.5) * t - 4) * t + 2 : 0;
}
