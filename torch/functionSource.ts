/** A graph as a Python function, a statement a value. */
import { type Graph, topologicalOrder } from "../engine/graph/graph.ts";
import { type LoopCall, loopCallKey, loopCallsOf } from "../engine/graph/loops.ts";
import type { Loop, Node, NodeOf } from "../engine/graph/node.ts";
import { operationName } from "../engine/graph/print.ts";
import { at, formatShape } from "../engine/graph/shape.ts";
import { uniformValue } from "../engine/graph/uniform.ts";
import { type Expression, type ExpressionKind, expressions, type Operands } from "./expressions.ts";
import { numeral, torchDtypes, tuple } from "./numerals.ts";
import { Names, quoted, snakeCase } from "./names.ts";

/** How arguments come in, and how results are given back. */
export type Signature = {
  /** Behind `def`. */
  readonly head: string;
  /** The text of each argument where it is read first; undefined for those that are parameters with these names. */
  readonly argument: (input: NodeOf<"input">, place: number) => string | undefined;
  /** Names of parameters. */
  readonly parameters: readonly string[];
  /** What is given back. */
  readonly result: (outputs: readonly string[]) => readonly string[];
};

/** Letters that a line with a value made of values that nobody else reads has at most. */
const longestLine = 96;
/** Nodes between a value and its only reader, at most, if it is written there: it would keep what it is made of alive. */
const farthestReader = 6;

/** The value that a node is: nodes that are the identity have that of their input. */
function valueOf(node: Node): Node {
  let value = node;
  while (
    value.kind === "stopGradient" ||
    value.kind === "barrier" ||
    value.kind === "ruled" ||
    value.kind === "check"
  ) {
    value = value.inputs[0];
  }
  return value;
}

/** Nodes in the order in which they were made: as long as derivatives need it, nothing lives longer than it has to. */
function orderOf(outputs: readonly Node[]): readonly Node[] {
  return topologicalOrder(outputs).sort((a, b) => a.id - b.id);
}

const isView = ({ kind }: Node): boolean =>
  kind === "expand" || kind === "reshape" || kind === "permute" || kind === "slice";

const isElementwise = ({ kind }: Node): boolean =>
  kind === "unary" ||
  kind === "binary" ||
  kind === "compare" ||
  kind === "select" ||
  kind === "cast" ||
  kind === "shift";

/** The place of an input in the tree of a function's only argument. */
export function pathOf({ attributes }: NodeOf<"input">): string {
  return attributes.name.replace(/^argument0\.?/, "");
}

/** The comment behind the statement that makes a value. */
const described = ({ dtype, shape }: Node): string => `  # ${dtype} ${formatShape(shape)}`;

class FunctionWriter {
  readonly #names: Names;
  readonly #indent: string;
  readonly #texts = new Map<Node, Expression>();
  /** The variables that a value's text names. */
  readonly #variables = new Map<Node, readonly string[]>();
  readonly #lines: {
    readonly text: string;
    readonly variables: readonly string[];
    readonly made: readonly string[];
  }[] = [];
  /** The texts of arguments that nobody has read yet. */
  readonly #arguments = new Map<Node, string>();
  readonly #readers = new Map<Node, Node[]>();
  readonly #places = new Map<Node, number>();
  readonly #outputs: ReadonlySet<Node>;

  constructor(names: Names, indent: string, order: readonly Node[], outputs: readonly Node[]) {
    this.#names = names;
    this.#indent = indent;
    this.#outputs = new Set(outputs.map(valueOf));
    for (const [place, node] of order.entries()) {
      this.#places.set(node, place);
      if (valueOf(node) !== node && node.kind !== "check") continue;
      for (const input of node.kind === "check" ? [node.inputs[1]] : node.inputs) {
        const value = valueOf(input);
        const known = this.#readers.get(value);
        if (known === undefined) this.#readers.set(value, [node]);
        else known.push(node);
      }
    }
  }

  /** A parameter, whose name is its text. */
  give(node: Node, name: string): void {
    this.#texts.set(node, { text: name, isAtom: true });
    this.#variables.set(node, [name]);
  }

  /** An argument, which gets a variable where it is read first. */
  giveWhenRead(input: NodeOf<"input">, text: string): void {
    this.#arguments.set(input, text);
  }

  /** A statement that makes variables of others. */
  state(text: string, variables: readonly string[], made: readonly string[] = []): void {
    this.#lines.push({ text, variables, made });
  }

  /** The variables that the texts of nodes name. */
  variablesOf(nodes: readonly Node[]): readonly string[] {
    return nodes.flatMap((node) => this.#variables.get(valueOf(node)) ?? []);
  }

  text(node: Node): string {
    return this.#expression(node).text;
  }

  write(node: Exclude<Node, { readonly kind: "input" | "loop" }>): void {
    switch (node.kind) {
      case "stopGradient":
      case "barrier":
      case "ruled":
        return;
      case "check":
        this.state(
          `check(${this.text(node.inputs[1])}, ${quoted(node.attributes.message)})`,
          this.variablesOf([node.inputs[1]]),
        );
        return;
      default:
        this.#define(node);
    }
  }

  #define(node: NodeOf<ExpressionKind> & Node): void {
    // The translation of a node's own kind fits the node, which TypeScript can't correlate over the union.
    const translate = expressions[node.kind] as (node: Node, operands: Operands) => Expression;
    const read: Node[] = [];
    const textOf = (input: Node): Expression => {
      read.push(input);
      return this.#expression(input);
    };
    const expression = translate(node, {
      operand: (input) => {
        const { text, isAtom } = textOf(input);
        return isAtom ? text : `(${text})`;
      },
      argument: (input) => textOf(input).text,
    });
    const variables = this.variablesOf(read);
    if (this.#isWritten(node, expression)) {
      this.#texts.set(node, expression);
      this.#variables.set(node, variables);
      return;
    }
    const name = this.name(node);
    this.state(`${name} = ${expression.text}${described(node)}`, variables, [name]);
  }

  /** Gives a node a variable of its own. */
  name(node: Node): string {
    const name = this.#names.ofValue(snakeCase(operationName(node)));
    this.give(node, name);
    return name;
  }

  /** Whether an expression is written where it is read rather than made a variable. */
  #isWritten(node: Node, { text }: Expression): boolean {
    if (this.#outputs.has(node)) return false;
    // What is one number, or repeats, costs nothing.
    if (uniformValue(node) !== undefined || node.kind === "expand") return true;
    const readers = this.#readers.get(node) ?? [];
    const [reader] = readers;
    if (reader === undefined || readers.length > 1 || text.length > longestLine || reader.kind === "loop") return false;
    if (isView(node)) return true;
    // What repeats is written wherever it is read.
    if (reader.kind === "expand") return false;
    const distance = (this.#places.get(reader) ?? Infinity) - (this.#places.get(node) ?? 0);
    return isElementwise(node) && distance <= farthestReader;
  }

  #expression(node: Node): Expression {
    const value = valueOf(node);
    const argument = this.#arguments.get(value);
    if (value.kind === "input" && argument !== undefined) {
      const name = this.#names.ofArgument(pathOf(value));
      this.#arguments.delete(value);
      this.give(value, name);
      this.state(`${name} = ${argument}${described(value)}`, [], [name]);
    }
    const expression = this.#texts.get(value);
    if (expression === undefined) throw new RangeError(`node ${node.id} is read before it is written`);
    return expression;
  }

  /** The function's lines; variables go when nobody reads them any more. @param kept those that aren't the function's to drop */
  lines(kept: ReadonlySet<string>): string[] {
    const last = new Map<string, number>();
    for (const [i, { variables, made }] of this.#lines.entries()) {
      for (const variable of [...made, ...variables]) last.set(variable, i);
    }
    return this.#lines.flatMap(({ text }, i) => {
      const line = `${this.#indent}${text}`;
      const dead = [...last].filter(([name, at]) => at === i && !kept.has(name)).map(([name]) => name);
      return dead.length === 0 || text.startsWith("return") ? [line] : [line, `${this.#indent}del ${dead.join(", ")}`];
    });
  }
}

/** A graph as the lines of a function. */
export function functionLines(graph: Graph, signature: Signature, indent = ""): string[] {
  const { head, argument, parameters, result } = signature;
  const names = new Names();
  const order = orderOf(graph.outputs);
  const calls = new Map(loopCallsOf(order).map((each) => [loopCallKey(at(each.results, 0)), each]));
  const inner = `${indent}    `;
  const writer = new FunctionWriter(names, inner, order, graph.outputs);
  const nested: string[] = [];
  for (const name of parameters) names.ofArgument(name);
  for (const [place, input] of graph.inputs.entries()) {
    const given = argument(input, place);
    if (given === undefined) writer.give(input, at(parameters, place));
    else writer.giveWhenRead(input, given);
  }
  for (const node of order) {
    if (node.kind === "input") continue;
    if (node.kind !== "loop") {
      writer.write(node);
      continue;
    }
    const key = loopCallKey(node);
    const found = calls.get(key);
    if (found === undefined) continue;
    calls.delete(key);
    const name = names.ofValue("loop");
    nested.push(...bodyLines(found, `${name}_body`, inner));
    writeLoop(writer, found, name);
  }
  writer.state(
    result(graph.outputs.map((node) => writer.text(node))).join(`\n${inner}`),
    writer.variablesOf(graph.outputs),
  );
  return [`${indent}def ${head}:`, ...nested, ...writer.lines(new Set(parameters))];
}

/** Values of a body that are looked at after the loop: whether any of them is true. */
function watchedBy({ results }: LoopCall): readonly Node[] {
  return results.flatMap(({ attributes: { result } }) => (result.kind === "any" ? [result.node] : []));
}

function bodyLines(call: LoopCall, name: string, indent: string): string[] {
  const { body } = call.loop;
  const parameters = body.inputs.map((_, i) => `given${i}`);
  const graph: Graph = { inputs: body.inputs, outputs: [...body.outputs, ...watchedBy(call)] };
  return functionLines(
    graph,
    {
      head: `${name}(${parameters.join(", ")})`,
      argument: () => undefined,
      parameters,
      result: (outputs) => [`return ${tuple(outputs)}`],
    },
    indent,
  );
}

/** The call of a loop, and a variable for each of its results. */
function writeLoop(writer: FunctionWriter, call: LoopCall, name: string): void {
  const { loop, inputs, results } = call;
  const { carried, rows, length, reverse } = loop;
  const list = (nodes: readonly Node[]): string => tuple(nodes.map((node) => writer.text(node)));
  const groups = [inputs.slice(0, carried), inputs.slice(carried, carried + rows), inputs.slice(carried + rows)];
  const last = `${name}_carried`;
  const steps = `${name}_steps`;
  writer.state(
    `${last}, ${steps} = scan(${name}_body, ${groups.map(list).join(", ")}, ${length}, ${reverse ? "True" : "False"})`,
    writer.variablesOf(inputs),
    [last, steps],
  );
  const watched = watchedBy(call);
  for (const node of results) {
    const text = loopResultText(loop, node, last, steps, watched);
    const own = writer.name(node);
    const read = [last, steps].filter((variable) => text.includes(variable));
    writer.state(`${own} = ${text}${described(node)}`, read, [own]);
  }
}

function loopResultText(
  { carried, length, body }: Loop,
  node: NodeOf<"loop">,
  last: string,
  steps: string,
  watched: readonly Node[],
): string {
  const { result } = node.attributes;
  const stack = (place: string): string =>
    length === 0
      ? `torch.full(${tuple(node.shape)}, ${numeral(0, node.dtype)}, dtype=${torchDtypes[node.dtype]}, device=device)`
      : `torch.stack([${place} for before, after in ${steps}])`;
  switch (result.kind) {
    case "carry":
      return `${last}[${result.index}]`;
    case "history":
      return stack(`before[${result.index}]`);
    case "stacked":
      return stack(`after[${carried + result.index}]`);
    case "any":
      return length === 0
        ? stack("")
        : `${stack(`after[${body.outputs.length + watched.indexOf(result.node)}]`)}.any()`;
  }
}
