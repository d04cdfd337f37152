/** How pictures of any shape become square. */
export const transforms = ["center-crop", "center-crop-wide", "center-crop-dhariwal", "contain", "box"] as const;

/**
 * `center-crop` cuts the middle out in one step (Lanczos); `center-crop-dhariwal` by halving and then bicubic, as ImageNet's reference
 * statistics were made; `center-crop-wide` cuts out a band wider than high and fills it up with black. `contain` keeps everything, on
 * the background. `box` averages areas of square pictures.
 */
export type Transform = (typeof transforms)[number];
