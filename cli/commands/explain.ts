import path from "node:path";
import { pathToFileURL } from "node:url";
import type { Command } from "@commander-js/extra-typings";
import { compile, type Compiled, disposeDevices, EvenkeelError, explain, messageOf } from "../../engine/index.ts";
import { deviceHelp } from "../deviceOption.ts";
import { explanationPage } from "../explainPage.ts";
import { writeText } from "../train/writeText.ts";

/** What the explained file exports by default: a function as `compile` takes it, and arguments for it. */
type Subject = { readonly fn: (...args: readonly unknown[]) => unknown; readonly args: readonly unknown[] };

/** `evenkeel explain FILE`: what the engine makes of a function. */
export function addExplainCommand(program: Command): void {
  program
    .command("explain")
    .description("Show what the engine makes of a function: graphs, kernels, generated code, memory, times.")
    .argument("<file>", "a .ts or .js file whose default export is { fn, args }: a function and its arguments")
    .option("--html <file>", "write a page instead of printing text")
    .option("--device <name>", deviceHelp)
    .option("--no-profile", "don't measure each kernel")
    .addHelpText(
      "after",
      `
Example: mlp.ts
  import { matmul, tanh, zeros } from "evenkeel/engine";
  export default { fn: (x, w) => tanh(matmul(x, w)), args: [zeros([32, 64]), zeros([64, 16])] };

  $ npx evenkeel explain mlp.ts --html mlp.html`,
    )
    .action(async (file, { html, device, profile }) => {
      const subject = await loadSubject(file);
      const compiled: Compiled<readonly unknown[], unknown> = compile(
        subject.fn,
        // The name is checked where devices are made, with the list of those there are.
        device === undefined ? {} : { device: device as "auto" },
      );
      const explanation = await explain(compiled, subject.args, { profile }).finally(async () => {
        compiled.dispose();
        await disposeDevices();
      });
      if (html === undefined) console.log(explanation.text);
      else {
        await writeText(html, explanationPage(path.basename(file), explanation));
        console.log(`${explanation.kernels.length} kernels on ${explanation.device}: ${html}`);
      }
    });
}

async function loadSubject(file: string): Promise<Subject> {
  const fail = (what: string, options?: ErrorOptions): never => {
    throw new EvenkeelError("file", `explain: ${file} ${what}`, options);
  };
  let module: { readonly default?: unknown };
  try {
    module = await importFile(path.resolve(file));
  } catch (reason) {
    const why = messageOf(reason);
    // Outside of a package of modules a .ts file is taken for CommonJS, which can't import the engine.
    const hint = why.includes("require()")
      ? ' Name it .mts, or give its folder a package.json with "type": "module".'
      : "";
    return fail(`can't be loaded: ${why}${hint}`, { cause: reason });
  }
  const subject = module.default;
  if (typeof subject !== "object" || subject === null || !("fn" in subject) || !("args" in subject)) {
    return fail(
      "must have a default export { fn, args }, for example: export default { fn: (x) => exp(x), args: [zeros([4])] }",
    );
  }
  const { fn, args } = subject;
  if (typeof fn !== "function" || !Array.isArray(args))
    return fail("has a default export whose fn is no function or args no array.");
  return { fn: fn as Subject["fn"], args: args as readonly unknown[] };
}

async function importFile(file: string): Promise<{ readonly default?: unknown }> {
  if (/\.[cm]?tsx?$/.test(file)) await prepareTypeScript();
  return (await import(pathToFileURL(file).href)) as { readonly default?: unknown };
}

/**
 * TypeScript is read by the package tsx where it is installed, else by Node itself where that can.
 * @throws EvenkeelError `file` if neither is there.
 */
async function prepareTypeScript(): Promise<void> {
  try {
    // Not tsx's own import function: that would load a second copy of the engine, with tensors of its own.
    const { register } = await import("tsx/esm/api");
    register();
  } catch (cause) {
    const { typescript = false } = process.features as { readonly typescript?: false | string };
    if (typescript !== false) return;
    throw new EvenkeelError(
      "file",
      `this Node (${process.versions.node}) reads no TypeScript, and the package tsx can't be loaded. ` +
        "`npm install tsx`, take Node 22.18 or later, or give a .js file.",
      { cause },
    );
  }
}
