/** Headless Chromium with a test page, on software rendering. */
import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { chromium, type LaunchOptions, type Page } from "playwright-core";
import type { DeviceName } from "../../engine/devices/device.ts";
import type { CaseName } from "./cases.ts";
import type { PageReport, RunCases } from "./page.ts";
import { type PageServer, servePage } from "./serve.ts";

export type BrowserPage = {
  /** Runs `count` instances of a case of `cases.ts` on a device of the page. */
  runCases(name: CaseName, device: DeviceName, seed: number, count: number): Promise<PageReport>;
  close(): Promise<void>;
};

/** Where Linux packages put Chromium; the environment variable CHROMIUM names another one. */
const knownPlaces = [
  "/usr/bin/chromium",
  "/usr/bin/chromium-browser",
  "/usr/bin/google-chrome-stable",
  "/usr/bin/google-chrome",
];

const softwareRendering = [
  "--enable-unsafe-webgpu",
  "--use-webgpu-adapter=swiftshader",
  "--use-angle=swiftshader",
  "--enable-unsafe-swiftshader",
];

const offline = [
  "--no-sandbox",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

/** How Chromium is started: on software rendering, without a word to anybody but the page's host. */
export const launchOptions = {
  headless: true,
  args: ["--headless=new", ...softwareRendering, ...offline],
} satisfies LaunchOptions;

/**
 * How Chromium starts by itself, with what graphics the machine has: without any, it draws on the CPU what changed. (Playwright would have
 * SwiftShader act for a GPU, which draws every frame anew.)
 */
export const ownGraphics = {
  headless: true,
  args: ["--headless=new", ...offline],
  ignoreDefaultArgs: ["--enable-unsafe-swiftshader"],
} satisfies LaunchOptions;

/** Path of Chromium, or undefined. @throws Error if CHROMIUM names none, or if there is none where CI=true. */
export function findChromium(): string | undefined {
  const named = process.env["CHROMIUM"];
  if (named !== undefined && named !== "") {
    if (!existsSync(named)) throw new Error(`CHROMIUM=${named}: there is no such file`);
    return named;
  }
  const found = knownPlaces.find((path) => existsSync(path));
  if (found === undefined && process.env["CI"] === "true") {
    throw new Error("no chromium: install it (apt-get install chromium) or name it by CHROMIUM");
  }
  return found;
}

/** Headless Chromium at a page. */
export type Chromium = {
  readonly page: Page;
  /** What the page said on its console, and what it didn't catch. */
  readonly said: readonly string[];
  readonly close: () => Promise<void>;
};

/** Starts Chromium at `executablePath` with a page that a server has. Closing it closes the server. */
export async function openChromium(executablePath: string, server: PageServer, hash = ""): Promise<Chromium> {
  const profile = await mkdtemp(join(tmpdir(), "evenkeel-chromium-"));
  const cleanUp = async (): Promise<void> => {
    await server.close();
    await rm(profile, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
  };
  try {
    const context = await chromium.launchPersistentContext(profile, {
      executablePath,
      ...launchOptions,
    });
    const page = await context.newPage();
    const said: string[] = [];
    page.on("console", (message) => said.push(`${message.type()}: ${message.text()}`));
    page.on("pageerror", (error) => said.push(`uncaught: ${error.message}`));
    await page.goto(server.url + hash);
    return {
      page,
      said,
      close: async () => {
        await context.close();
        await cleanUp();
      },
    };
  } catch (error) {
    await cleanUp();
    throw error;
  }
}

/** Starts Chromium at `executablePath` with the test page. Close it, or Node won't end. */
export async function openPage(executablePath: string): Promise<BrowserPage> {
  const { page, said, close } = await openChromium(executablePath, await servePage());
  try {
    await page.waitForFunction(() => "runCases" in globalThis, undefined, { timeout: 120_000 });
  } catch (cause) {
    await close();
    throw new Error(`the test page doesn't start. It said:\n${said.join("\n")}`, { cause });
  }
  return {
    runCases: async (...args) => {
      try {
        return await page.evaluate(
          (given) => (globalThis as unknown as { readonly runCases: RunCases }).runCases(...given),
          args,
        );
      } catch (cause) {
        const reason = cause instanceof Error ? cause.message : String(cause);
        throw new Error(
          `${args[0]} on ${args[1]} in Chromium: ${reason}\nThe page said:\n${said.slice(-20).join("\n")}`,
          { cause },
        );
      }
    },
    close,
  };
}
