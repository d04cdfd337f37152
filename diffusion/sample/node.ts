/** Pictures in files; only for Node. */
export { writeImage, writeImageGrid, writePng } from "./pngFile.ts";
