/** The lab in headless Chromium, and what a person does there. */
import { type BrowserContext, type BrowserContextOptions, chromium, type Locator, type Page } from "playwright-core";
import { launchOptions, ownGraphics } from "../run.ts";
import { labFiles } from "./buildLab.ts";
import { type LabServer, serveLab } from "./serveLab.ts";

/** Milliseconds after which something hangs that takes seconds on an idle machine. */
export const patience = 180_000;

export type LabOptions = BrowserContextOptions & {
  /** What the address has behind it, as `linkOf` writes it. */
  readonly hash?: string;
  /** Whether the host sends the headers of isolation. Default true. */
  readonly isIsolated?: boolean;
  /** A host that is there already; who gives it closes it. */
  readonly server?: LabServer;
  /** Whether the browser has every device, by software if need be. Default: false, it draws by what graphics the machine has. */
  readonly hasEveryDevice?: boolean;
  /** Done before the page's own scripts run. */
  readonly before?: (context: BrowserContext) => Promise<unknown>;
};

/** Opens the lab as somebody sees it who was never there. Close it, or Node won't end. */
export async function openLab(
  executablePath: string,
  options: LabOptions = {},
): Promise<{ readonly lab: Lab; readonly close: () => Promise<void> }> {
  const { hash = "", isIsolated = true, hasEveryDevice = false, before, server: given, ...contextOptions } = options;
  const server = given ?? (await serveLab(await labFiles(), { isIsolated }));
  const browser = await chromium.launch({ executablePath, ...(hasEveryDevice ? launchOptions : ownGraphics) });
  const close = async (): Promise<void> => {
    await browser.close();
    if (given === undefined) await server.close();
  };
  try {
    const context = await browser.newContext(contextOptions);
    context.setDefaultTimeout(patience);
    await before?.(context);
    const page = await context.newPage();
    const lab = new Lab(page, server);
    await page.goto(server.url + hash);
    return { lab, close };
  } catch (reason) {
    await close();
    throw reason;
  }
}

/** Opens the lab, gives it to `use`, and closes it. @throws Error with what the page shows, if `use` fails. */
export async function withLab<T>(
  executablePath: string,
  options: LabOptions,
  use: (lab: Lab) => Promise<T>,
): Promise<T> {
  const { lab, close } = await openLab(executablePath, options);
  try {
    return await lab.telling(() => use(lab));
  } finally {
    await close();
  }
}

export class Lab {
  readonly page: Page;
  readonly server: LabServer;
  /** What the page said on its console, and what it didn't catch. */
  readonly said: string[] = [];
  readonly #foreign: string[] = [];

  constructor(page: Page, server: LabServer) {
    this.page = page;
    this.server = server;
    const { origin } = new URL(server.url);
    page.on("console", (message) => this.said.push(`${message.type()}: ${message.text()}`));
    page.on("pageerror", (error) => this.said.push(`uncaught: ${error.message}`));
    page.context().on("request", (request) => {
      const url = request.url();
      if (!/^(blob|data):/.test(url) && new URL(url).origin !== origin) this.#foreign.push(url);
    });
  }

  /** Does what a person does. If that fails, it says what the page shows; it fails, too, if the page asks another host for something. */
  async telling<T>(task: () => Promise<T>): Promise<T> {
    try {
      const result = await task();
      this.expectOwnRequests();
      return result;
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : String(cause);
      const shown = (await this.shown()).replaceAll(/\n{2,}/g, "\n");
      throw new Error(`${reason}\nThe page shows:\n${shown}\nIt said:\n${this.said.slice(-20).join("\n")}`, { cause });
    }
  }

  /** @throws Error if the page asked another host for something. */
  expectOwnRequests(): void {
    if (this.#foreign.length > 0) throw new Error(`the page asked other hosts: ${this.#foreign.join(", ")}`);
  }

  /** The page's text, for messages of tests. */
  shown(): Promise<string> {
    return this.page
      .locator("body")
      .innerText({ timeout: 5000 })
      .catch((reason: unknown) => `(nothing: ${String(reason)})`);
  }

  button(name: string | RegExp): Locator {
    return this.page.getByRole("button", { name, exact: typeof name === "string" });
  }

  /** Presses Start, when settings are known to be possible. */
  async start(): Promise<void> {
    await this.button(/^Start (training|a new run)$/).click();
  }

  /** What the chosen run does, in words. */
  get phase(): Locator {
    return this.page.locator(".phase");
  }

  /** Waits until the chosen run does this; fails if it fails instead. */
  async reach(text: string | RegExp): Promise<void> {
    const wanted = typeof text === "string" ? new RegExp(`^${text}`) : text;
    const reached = this.phase.filter({ hasText: new RegExp(`${wanted.source}|^Failed`) });
    await reached.waitFor();
    const found = (await reached.textContent()) ?? "";
    if (!wanted.test(found)) throw new Error(`the run was to be ${String(text)}, and is: ${found}`);
  }

  /** Images that the chosen run has seen, as the page says. */
  async nimg(): Promise<number> {
    return Number(await this.page.locator(".progress progress").getAttribute("value"));
  }

  /** Waits until the chosen run has seen so many images, or more. */
  async reachImages(nimg: number): Promise<void> {
    // A text: this file knows nothing of the types of a page.
    const seen = `Number(document.querySelector(".progress progress")?.getAttribute("value") ?? 0)`;
    await this.page.waitForFunction(`${seen} >= ${nimg}`);
  }

  /** What the page has said in its list of messages. */
  message(text: string | RegExp): Locator {
    return this.page.getByRole("log", { name: "Messages" }).locator("p").filter({ hasText: text });
  }

  async tab(name: string): Promise<void> {
    await this.page.getByRole("tab", { name }).click();
  }
}
