/**
 * Programs that stand in texts: examples of functions in their comments, blocks of guides. They run in this process, and what they print is
 * compared with the comments behind: `console.log(await x.array()); // [ 1, 2 ]`.
 */
import assert from "node:assert/strict";
import { format } from "node:util";
import { runInThisContext } from "node:vm";
import { transform } from "esbuild";

export type TextProgram = {
  /** Where it stands, for messages. */
  readonly place: string;
  readonly code: string;
};

/** What can be imported, by the name of its entry point. */
export type Rooms = Readonly<Record<string, Readonly<Record<string, unknown>>>>;

const printing = /\bconsole\.log\(/;

/** What each line that prints is to print; null where nothing is said. */
function expectations({ code, place }: TextProgram): (string | null)[] {
  return code.split("\n").flatMap((line) => {
    if (!printing.test(line)) return [];
    const [, expected = null] = /\bconsole\.log\(.*\);\s*\/\/ (.*)$/.exec(line) ?? [];
    assert.ok(/;\s*(\/\/ .*)?$/.test(line), `${place}: console.log is to begin and end on one line: ${line}`);
    return [expected];
  });
}

/** As JavaScript that is the body of a function of the rooms and a console. */
async function bodyOf({ code, place }: TextProgram): Promise<string> {
  const { code: script } = await transform(code, { loader: "ts", format: "esm", target: "es2022", sourcefile: place });
  return script.replace(/import \{([^}]*)\} from "([^"]*)";/g, (_, names: string, room: string) => {
    const taken = names.replace(/\b(\w+) as (\w+)/g, "$1: $2");
    return `const {${taken}} = roomNamed(${JSON.stringify(room)});`;
  });
}

/**
 * Runs a program.
 * @throws AssertionError for what it prints otherwise than it says; what the program throws.
 */
export async function runTextProgram(program: TextProgram, rooms: Rooms): Promise<void> {
  const expected = expectations(program);
  const printed: string[] = [];
  const roomNamed = (name: string): Readonly<Record<string, unknown>> => {
    const room = rooms[name];
    assert.ok(room !== undefined, `${program.place}: ${name} isn't among the rooms that this test has`);
    return room;
  };
  const body = await bodyOf(program);
  const run = runInThisContext(`(async (roomNamed, console) => {${body}\n})`, { filename: program.place }) as (
    rooms: typeof roomNamed,
    console: { readonly log: (...values: readonly unknown[]) => void },
  ) => Promise<void>;
  await run(roomNamed, { log: (...values) => void printed.push(format(...values)) });
  assert.equal(printed.length, expected.length, `${program.place} printed:\n${printed.join("\n")}`);
  for (const [i, text] of expected.entries()) {
    const got = printed[i] ?? "";
    if (text !== null) assert.ok(isAsTold(text, got), `${program.place} printed ${got}\nand says         ${text}`);
  }
}

const number = /-?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?/gi;

/** Whether a text was printed, up to spaces, and its numbers to the digits that they are told with. */
export function isAsTold(told: string, printed: string): boolean {
  const frame = (text: string): string => text.replace(number, "#").replace(/\s+/g, "");
  const [some, others] = [told.match(number) ?? [], printed.match(number) ?? []];
  return (
    frame(told) === frame(printed) &&
    some.length === others.length &&
    some.every((text, i) => Math.abs(Number(text) - Number(others[i])) <= halfOfLastDigit(text))
  );
}

/** Whole numbers and round ones are meant exactly but for rounding. */
function halfOfLastDigit(text: string): number {
  const [mantissa = "", exponent = "0"] = text.toLowerCase().split("e");
  const [, decimals = ""] = mantissa.split(".");
  return decimals === "" && exponent === "0"
    ? 1e-6 * Math.abs(Number(text))
    : 0.5 * 10 ** (Number(exponent) - decimals.length);
}

/** The `ts` blocks of a Markdown text. */
export function programsOf(file: string, text: string): TextProgram[] {
  return [...text.matchAll(/^```ts\n([^]*?)^```$/gm)].map(([, code = ""], i) => ({
    place: `${file}, program ${i + 1}`,
    code,
  }));
}
