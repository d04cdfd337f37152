/** Between files and networks: latents as numbers of the size that networks expect. */
export { drawLatents, type LatentWhitening, unwhitenLatents, vaeChannels, vaeName, vaeWhitening } from "./latents.ts";
