/** `npm run bench:page`: builds the bench's page into a folder and serves it on this machine until it is ended. */
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { parseArgs } from "node:util";
import { messageOf } from "../../engine/index.ts";
import { serveFiles } from "../../test/browser/serve.ts";
import { pageFiles } from "./build.ts";

const { values: options } = parseArgs({
  options: { port: { type: "string", default: "8123" }, out: { type: "string", default: "reports/benchPage" } },
});

const files = await pageFiles();
rmSync(path.join(options.out), { recursive: true, force: true });
mkdirSync(options.out, { recursive: true });
for (const [name, contents] of files) writeFileSync(path.join(options.out, name), contents);
const served = await serveFiles(files, Number(options.port)).catch((reason: unknown) => {
  console.error(
    `The page is in ${options.out}, but can't be served at port ${options.port}: ${messageOf(reason)}. Name another with -- --port N.`,
  );
  process.exit(1);
});
const { url } = served;
console.log(`${options.out} is served at ${url}: open it in the browser to be measured. Ctrl+C ends it.`);
