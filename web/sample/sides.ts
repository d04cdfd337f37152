import type { SampledSide } from "../worker/studyMessages.ts";

/** Of one image: [C, H, W]. */
export function imageSize({ shape }: SampledSide): readonly [number, number, number] {
  const [, channels = 0, height = 0, width = 0] = shape;
  return [channels, height, width];
}

/** `0.002`, `1.53`, `80`. */
export function sigmaText(sigma: number): string {
  return String(Number(sigma.toPrecision(sigma < 1 ? 2 : 3)));
}
