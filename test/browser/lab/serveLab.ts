/** A host of the lab's files, on this machine only: one that sends the headers of isolation, or one that doesn't. */
import { createServer } from "node:http";
import { extname } from "node:path";
import type { LabFiles } from "./buildLab.ts";

export type LabServer = {
  /** Where the page is: below a folder, as many hosts have it. */
  readonly url: string;
  /** The addresses that were asked for, below the page's, in order. */
  readonly asked: readonly string[];
  /** Answers 404 for addresses that match, from now on. */
  lose(address: RegExp): void;
  close(): Promise<void>;
};

const types: Readonly<Record<string, string>> = {
  ".html": "text/html",
  ".js": "text/javascript",
  ".css": "text/css",
  ".svg": "image/svg+xml",
};

const isolation = { "Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Embedder-Policy": "require-corp" };

const folder = "/some/folder/";

export type LabHost = {
  /** Whether it sends the two headers. Default true. */
  readonly isIsolated?: boolean;
  /** Whether browsers may keep what has a name of its own. Default false. */
  readonly isCached?: boolean;
  /** Further headers of every answer. */
  readonly headers?: Readonly<Record<string, string>>;
};

/** Serves the lab on a free port of 127.0.0.1. */
export async function serveLab(
  files: LabFiles,
  { isIsolated = true, isCached = false, headers = {} }: LabHost = {},
): Promise<LabServer> {
  const [asked, lost]: [string[], RegExp[]] = [[], []];
  const server = createServer((request, response) => {
    const { pathname } = new URL(request.url ?? "/", "http://127.0.0.1");
    const address = pathname.startsWith(folder) ? pathname.slice(folder.length) : pathname;
    asked.push(address);
    const file = files.get(address === "" ? "index.html" : address);
    if (file === undefined || lost.some((pattern) => pattern.test(address))) {
      response.writeHead(404, { "Content-Type": "text/plain" }).end("There is no such file.");
      return;
    }
    response
      .writeHead(200, {
        ...(isIsolated ? isolation : {}),
        ...headers,
        "Content-Type": types[extname(address === "" ? "index.html" : address)] ?? "application/octet-stream",
        "Cache-Control": isCached && address.startsWith("assets/") ? "max-age=31536000, immutable" : "no-store",
      })
      .end(file);
  });
  await new Promise<void>((done, failed) => {
    server.once("error", failed);
    server.listen(0, "127.0.0.1", done);
  });
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("the server has no port");
  return {
    url: `http://127.0.0.1:${address.port}${folder}`,
    asked,
    lose: (pattern) => void lost.push(pattern),
    close: async () => {
      server.closeAllConnections();
      await new Promise((done) => server.close(done));
    },
  };
}
