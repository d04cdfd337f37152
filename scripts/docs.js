/**
 * The reference: what all entry points export, with the guides, as a static site in `docs-site`. Typedoc's warnings are errors, and every link
 * within the site leads to a file and, if it names one, an anchor. Neither building nor viewing it asks the network for anything.
 */
import { existsSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { Application } from "typedoc";

const root = resolve(import.meta.dirname, "..");
const site = join(root, "docs-site");
const { exports } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
const faces = Object.entries(exports).flatMap(([name, { default: built }]) =>
  built === undefined || name === "." ? [] : join(root, built.replace("./dist/", "").replace(/js$/, "ts")),
);
/** Guides to begin with; the others follow by their names. */
const first = ["engine-tour", "own-data", "lab-tour", "browser", "study-engine", "paper", "compared", "add-a-device"];
const others = readdirSync(join(root, "docs")).flatMap((name) => /^(.*)\.md$/.exec(name)?.[1] ?? []);
const guides = [...new Set([...first, ...others.sort()])];

rmSync(site, { recursive: true, force: true });
const application = await Application.bootstrapWithPlugins({
  name: "Evenkeel",
  entryPoints: faces,
  basePath: root,
  tsconfig: join(root, "tsconfig.json"),
  readme: join(root, "README.md"),
  projectDocuments: guides.map((name) => join(root, "docs", `${name}.md`)),
  out: site,
  highlightLanguages: ["bash", "console", "css", "html", "javascript", "json", "python", "tsx", "typescript", "yaml"],
  // No address of the source is known that would stay.
  disableSources: true,
  disableGit: true,
  githubPages: false,
  excludeInternal: true,
  excludePrivate: true,
  hideGenerator: true,
  validation: { invalidLink: true, invalidPath: true, notExported: false, notDocumented: false },
  treatWarningsAsErrors: true,
  treatValidationWarningsAsErrors: true,
  // `npm run typecheck` has done that.
  skipErrorChecking: true,
  logLevel: "Warn",
});
const project = await application.convert();
if (project === undefined) throw new Error("docs: Typedoc could not read the sources.");
application.validate(project);
await application.generateDocs(project, site);
if (application.logger.hasErrors() || application.logger.hasWarnings()) process.exit(1);

const broken = brokenLinks(site);
if (broken.length > 0) {
  console.error(`docs: links that lead nowhere:\n${broken.join("\n")}`);
  process.exit(1);
}
const pages = readdirSync(site, { recursive: true, encoding: "utf8" }).filter((name) => name.endsWith(".html"));
console.log(`${pages.length} pages: docs-site/index.html`);

/** Links of all pages that lead to no file or anchor of the site, and what a page would fetch from elsewhere. */
function brokenLinks(folder) {
  const anchors = new Map();
  const anchorsOf = (page) => {
    if (!anchors.has(page)) {
      const text = readFileSync(page, "utf8");
      anchors.set(page, new Set([...text.matchAll(/\s(?:id|name)="([^"]+)"/g)].map(([, id]) => id)));
    }
    return anchors.get(page);
  };
  const pages = readdirSync(folder, { recursive: true, encoding: "utf8" }).filter((name) => name.endsWith(".html"));
  return pages.flatMap((name) => {
    const page = join(folder, name);
    const text = readFileSync(page, "utf8");
    const wrong = [...text.matchAll(/<(?:script|link|img|iframe)\b[^>]*\s(?:src|href)="(https?:[^"]*)"/g)].map(
      ([, url]) => url,
    );
    for (const [, target] of text.matchAll(/\s(?:href|src)="([^"]+)"/g)) {
      if (/^(https?|data|mailto):/.test(target)) continue;
      const [path, anchor = ""] = decodeURI(target.replaceAll("&amp;", "&")).split("#");
      const place = path === "" ? page : resolve(dirname(page), path);
      if (!existsSync(place)) wrong.push(target);
      else if (anchor !== "" && place.endsWith(".html") && !anchorsOf(place).has(anchor)) wrong.push(target);
    }
    return [...new Set(wrong)].map((target) => `${name}: ${target}`);
  });
}
