/** A scale of colours that grows in lightness all the way, from dark blue over green to yellow. */

type Color = readonly [red: number, green: number, blue: number];

const stops: readonly Color[] = [
  [38, 18, 82],
  [47, 74, 138],
  [34, 122, 141],
  [46, 163, 120],
  [136, 202, 80],
  [248, 228, 66],
];

/** @param share from 0 to 1. */
export function colorAt(share: number): Color {
  const at = Math.min(1, Math.max(0, share)) * (stops.length - 1);
  const [low = stops[0], high = low] = [stops[Math.floor(at)], stops[Math.ceil(at)]];
  if (low === undefined || high === undefined) throw new RangeError("a scale without colours");
  const weight = at - Math.floor(at);
  const mix = (a: number, b: number): number => Math.round(a + (b - a) * weight);
  return [mix(low[0], high[0]), mix(low[1], high[1]), mix(low[2], high[2])];
}

/** The scale as a CSS background. */
export const rampGradient = `linear-gradient(to right, ${stops.map((color) => `rgb(${color.join(" ")})`).join(", ")})`;
