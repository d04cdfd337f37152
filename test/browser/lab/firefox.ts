/**
 * Firefox by its own protocol, WebDriver BiDi (W3C): an installed Firefox speaks it, and playwright's part for it asks what such a one
 * doesn't know.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { WebSocket } from "ws";

const knownPlaces = ["/usr/bin/firefox-esr", "/usr/bin/firefox"];

const path = knownPlaces.find((place) => existsSync(place));

const missing = "no firefox: install it (apt-get install firefox-esr)";

/** Why tests in Firefox can't be run here, or false; where tests must prove something its lack is a failure. */
export const firefoxSkip = path === undefined && process.env["CI"] !== "true" ? missing : false;

export type FirefoxPage = {
  /** What an expression is in the page, a promise waited for: a text. */
  evaluate(expression: string): Promise<string>;
};

/** Opens a page in headless Firefox, gives it to `use`, and ends Firefox. */
export async function withFirefox<T>(url: string, use: (page: FirefoxPage) => Promise<T>): Promise<T> {
  if (path === undefined) throw new Error(missing);
  const profile = await mkdtemp(join(tmpdir(), "evenkeel-firefox-"));
  const words = ["--headless", "--no-remote", "--profile", profile, "--remote-debugging-port", "0"];
  const firefox = spawn(path, words, {
    stdio: ["ignore", "ignore", "pipe"],
    env: { ...process.env, MOZ_HEADLESS: "1" },
  });
  const ended = new Promise((done) => firefox.once("close", done));
  try {
    const session = await Session.open(await addressOf(firefox));
    const { contexts } = (await session.ask("browsingContext.getTree", {})) as {
      contexts: readonly { context: string }[];
    };
    const context = contexts[0]?.context;
    await session.ask("browsingContext.navigate", { context, url, wait: "complete" });
    const evaluate = async (expression: string): Promise<string> => {
      const answer = (await session.ask("script.evaluate", {
        expression,
        target: { context },
        awaitPromise: true,
      })) as {
        readonly type: string;
        readonly result?: { readonly value?: unknown };
      };
      if (answer.type !== "success") throw new Error(`in Firefox: ${JSON.stringify(answer)}`);
      return String(answer.result?.value);
    };
    return await use({ evaluate });
  } finally {
    firefox.kill();
    await ended;
    await rm(profile, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
  }
}

/** Where Firefox listens, as it says when it does. */
function addressOf(firefox: ChildProcess): Promise<string> {
  return new Promise((found, failed) => {
    let said = "";
    firefox.stderr?.on("data", (chunk: Buffer) => {
      said += chunk.toString();
      const address = /WebDriver BiDi listening on (ws:\S+)/.exec(said)?.[1];
      if (address !== undefined) found(`${address}/session`);
    });
    firefox.once("error", failed);
    firefox.once("close", () => failed(new Error(`Firefox ended. It said:\n${said}`)));
  });
}

type Answer = { readonly id?: number; readonly result?: unknown; readonly error?: string; readonly message?: string };

class Session {
  readonly #socket: WebSocket;
  readonly #waiting = new Map<number, (answer: Answer) => void>();
  #last = 0;

  private constructor(socket: WebSocket) {
    this.#socket = socket;
    socket.on("message", (data: Buffer) => {
      const answer = JSON.parse(data.toString()) as Answer;
      if (answer.id === undefined) return;
      this.#waiting.get(answer.id)?.(answer);
      this.#waiting.delete(answer.id);
    });
    socket.on("close", () => {
      for (const tell of this.#waiting.values()) tell({ error: "closed", message: "Firefox closed the session" });
    });
  }

  static async open(address: string): Promise<Session> {
    const socket = new WebSocket(address);
    await new Promise((done, failed) => {
      socket.once("open", done);
      socket.once("error", failed);
    });
    const session = new Session(socket);
    await session.ask("session.new", { capabilities: {} });
    return session;
  }

  ask(method: string, params: Readonly<Record<string, unknown>>): Promise<unknown> {
    const id = ++this.#last;
    return new Promise((done, failed) => {
      this.#waiting.set(id, ({ result, error, message }) => {
        if (error === undefined) done(result);
        else failed(new Error(`Firefox, asked for ${method}: ${error}: ${message ?? ""}`));
      });
      this.#socket.send(JSON.stringify({ id, method, params }));
    });
  }
}
