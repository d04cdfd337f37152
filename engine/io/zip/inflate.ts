/** What unpacks deflated data. In the package `scripts/build.js` writes its code in place of this import, so that the engine needs no other package. */
export { Inflate } from "fflate";
