/** Names of Python's variables. */

const reserved = new Set(
  (
    "False None True and as assert async await break class continue def del elif else except finally for from global if import in is lambda " +
    "nonlocal not or pass raise return try while with yield inputs device torch range len float body n"
  ).split(" "),
);

/** Gives names that no other value of a function has. */
export class Names {
  readonly #taken = new Set<string>(reserved);
  readonly #counts = new Map<string, number>();

  /** A name for an argument: its own, as far as Python allows it. */
  ofArgument(name: string): string {
    const plain = name.replace(/[^A-Za-z0-9]+/g, "_").replace(/^_+|_+$/g, "");
    // Names of values end in a number: those of arguments mustn't be taken for one.
    return this.#take(/^[A-Za-z]/.test(plain) ? plain : `argument_${plain}`);
  }

  /** A numbered name for what an operation gives. */
  ofValue(operation: string): string {
    const number = (this.#counts.get(operation) ?? 0) + 1;
    this.#counts.set(operation, number);
    return this.#take(`${operation}${number}`);
  }

  #take(wanted: string): string {
    let name = wanted;
    for (let i = 2; this.#taken.has(name); i++) name = `${wanted}_${i}`;
    this.#taken.add(name);
    return name;
  }
}

/** `camelCase` as Python has it. */
export function snakeCase(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

/** A text in quotes. */
export function quoted(text: string): string {
  return JSON.stringify(text);
}
