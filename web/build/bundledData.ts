/** The data set that comes with the page, made from the emoji packages when the page is built. */
import type { Plugin } from "vite";
import { packDataset } from "../../diffusion/data/index.ts";
import { emojiVendors, loadEmoji } from "../../diffusion/data/node.ts";

const name = "virtual:evenkeel/emoji16";
const resolved = `\0${name}`;
const devPath = "/emoji16.pack";

/** Makes the import `virtual:evenkeel/emoji16` the address of the packed data set. */
export function bundledData(): Plugin {
  let packed: Promise<Uint8Array> | undefined;
  const pack = (): Promise<Uint8Array> =>
    (packed ??= loadEmoji(emojiVendors, 16).then((dataset) => packDataset({ ...dataset, name: "emoji16" })));
  let isServing = false;
  return {
    name: "evenkeel-bundled-data",
    configResolved: ({ command }) => {
      isServing = command === "serve";
    },
    resolveId: (id) => (id === name ? resolved : undefined),
    async load(id) {
      if (id !== resolved) return undefined;
      if (isServing) return `export default ${JSON.stringify(devPath)};`;
      const reference = this.emitFile({ type: "asset", name: "emoji16.pack", source: await pack() });
      return `export default import.meta.ROLLUP_FILE_URL_${reference};`;
    },
    configureServer: ({ middlewares }) => {
      middlewares.use(devPath, (_, response) => {
        pack().then(
          (bytes) => response.setHeader("Content-Type", "application/octet-stream").end(bytes),
          (reason: unknown) => response.writeHead(500).end(String(reason)),
        );
      });
    },
  };
}
