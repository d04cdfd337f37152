/**
 * gpu.js, as Node or a page's bundler finds it. In the package `scripts/build.js` writes its code in place of this import: who installs the
 * package has no gpu.js to install, nor the native parts that it asks for and that nothing here uses.
 */
import gpujs from "gpu.js";

/** The module: in Node an object, in gpu.js's bundle for pages the class GPU with the same properties. Its own types leave out much of it. */
export const gpujsLibrary: unknown = gpujs;
