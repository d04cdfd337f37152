/** Between files and networks: latents as numbers of the size that networks expect. */
export { drawLatents, type LatentWhitening, vaeWhitening } from "./latents.ts";
