/** Between files and networks: latents as numbers of the size that networks expect. Safe in a page. */
export { drawLatents, type LatentWhitening, unwhitenLatents, vaeChannels, vaeName, vaeWhitening } from "./latents.ts";
