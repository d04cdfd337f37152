/** Between files and networks: pixels and latents as numbers of the size that networks expect. */
export { drawLatents, type LatentWhitening, vaeWhitening } from "./latents.ts";
export { fromPixels } from "./pixels.ts";
