/** A web server for one page, on this machine only. */
import { createServer } from "node:http";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

export type PageServer = { readonly url: string; close(): Promise<void> };

const html =
  '<!doctype html><meta charset="utf-8"><title>Evenkeel tests</title><link rel="icon" href="data:,"><script type="module" src="/page.js"></script>';

/** Headers that make a page cross-origin isolated, without which it has no SharedArrayBuffer. */
const isolation = {
  "Cross-Origin-Opener-Policy": "same-origin",
  "Cross-Origin-Embedder-Policy": "require-corp",
  "Cross-Origin-Resource-Policy": "same-origin",
  "Cache-Control": "no-store",
};

/** Bundles `page.ts` for browsers and serves it on a free port of 127.0.0.1. */
export async function servePage(): Promise<PageServer> {
  return serveFiles(new Map([["index.html", new TextEncoder().encode(html)], ...(await bundlePage())]));
}

/** Serves a page, `index.html`, and its scripts on a port of 127.0.0.1: a free one, if none is given. */
export async function serveFiles(files: ReadonlyMap<string, Uint8Array>, port = 0): Promise<PageServer> {
  const server = createServer((request, response) => {
    const path = new URL(request.url ?? "/", "http://127.0.0.1").pathname;
    const name = path === "/" ? "index.html" : basename(path);
    const file = files.get(name);
    if (file === undefined) response.writeHead(404, isolation).end();
    else {
      const type = name.endsWith(".html") ? "text/html" : "text/javascript";
      response.writeHead(200, { ...isolation, "Content-Type": type }).end(file);
    }
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, "127.0.0.1", resolve);
  });
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("the server has no port");
  return {
    url: `http://127.0.0.1:${address.port}/`,
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** The page's scripts by file name. `import()`s become files of their own, so that a page loads only its device. */
async function bundlePage(): Promise<ReadonlyMap<string, Uint8Array>> {
  const folder = fileURLToPath(new URL(".", import.meta.url));
  const { outputFiles } = await build({
    entryPoints: [join(folder, "page.ts")],
    bundle: true,
    splitting: true,
    write: false,
    outdir: folder,
    format: "esm",
    // Picks gpu.js's build for pages.
    platform: "browser",
    target: "es2022",
    logLevel: "error",
  });
  return new Map(outputFiles.map(({ path, contents }) => [basename(path), contents]));
}
