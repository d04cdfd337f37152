/** The lab's build: static files that any host can serve. */
import { join } from "node:path";
import preact from "@preact/preset-vite";
import { defineConfig } from "vite";
import { bundledData } from "./build/bundledData.ts";

/** Without these a page has no shared memory, and so one thread; `serviceWorker.ts` adds them where a host doesn't. */
const isolation = { "Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Embedder-Policy": "require-corp" };

/** The service worker's scope is its folder: it lies beside the page, under a name that never changes. */
const serviceWorker = "serviceWorker";

export default defineConfig({
  root: import.meta.dirname,
  // Relative addresses: the files work in any folder of any host.
  base: "./",
  plugins: [preact(), bundledData()],
  worker: { format: "es", plugins: () => [bundledData()] },
  server: { host: "127.0.0.1", headers: isolation },
  preview: { host: "127.0.0.1", headers: isolation },
  build: {
    target: "es2022",
    // A twentieth smaller than what esbuild makes.
    minify: "terser",
    terserOptions: { module: true },
    outDir: "dist",
    emptyOutDir: true,
    rollupOptions: {
      input: {
        index: join(import.meta.dirname, "index.html"),
        [serviceWorker]: join(import.meta.dirname, "serviceWorker.ts"),
      },
      output: {
        entryFileNames: ({ name }) => (name === serviceWorker ? "[name].js" : "assets/[name]-[hash].js"),
      },
    },
  },
});
