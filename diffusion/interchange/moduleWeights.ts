import { EvenkeelError } from "../../engine/index.ts";
import { dictOf } from "./networkGlobals.ts";
import { PickleForeign, PickleInstance, PickleSet, type PickleValue } from "./pickle/index.ts";
import { TorchTensor } from "./torchTensor.ts";

/** Modules within modules, at most. */
const maximumDepth = 32;
/** Modules and entries looked at, at most. A module that several others share is looked at for each, as its names differ. */
const maximumEntries = 100_000;
/** Characters of a weight's name. */
const maximumName = 512;

/**
 * A network's parameters and persistent buffers: of each module first its own parameters, then its buffers, then those of the modules
 * in it, as PyTorch orders a state dictionary.
 * @throws EvenkeelError `file` for what is no module.
 */
export function collectWeights(network: PickleInstance, source: string): ReadonlyMap<string, TorchTensor> {
  const collector = new WeightCollector(source);
  collector.visit(network, "", 0);
  return collector.weights;
}

class WeightCollector {
  readonly weights = new Map<string, TorchTensor>();
  readonly #source: string;
  #left = maximumEntries;

  constructor(source: string) {
    this.#source = source;
  }

  visit(module: PickleInstance, prefix: string, depth: number): void {
    if (depth > maximumDepth) this.#fail(prefix, `lies more than ${maximumDepth} modules deep`);
    const state = dictOf(module.state) ?? this.#fail(prefix, "has no state");
    const passing = state.get("_non_persistent_buffers_set");
    this.#take(state, "_parameters", prefix, () => true);
    this.#take(state, "_buffers", prefix, (key) => !(passing instanceof PickleSet && passing.items.has(key)));
    for (const [key, child] of this.#part(state, "_modules", prefix)) {
      const name = this.#name(key, prefix);
      if (child === null) continue;
      if (!(child instanceof PickleInstance)) return this.#fail(prefix, `has an entry ${key}, which is no module`);
      this.visit(child, `${name}.`, depth + 1);
    }
  }

  #take(state: Entries, part: string, prefix: string, wanted: (key: string) => boolean): void {
    for (const [key, value] of this.#part(state, part, prefix)) {
      const name = this.#name(key, prefix);
      if (value === null || !wanted(key)) continue;
      const tensor = value instanceof PickleForeign ? value.value : undefined;
      if (!(tensor instanceof TorchTensor)) return this.#fail(prefix, `has an entry ${key}, which is no tensor`);
      if (this.weights.has(name)) this.#fail(prefix, `has ${key} twice`);
      this.weights.set(name, tensor);
    }
  }

  /** The entries of one of a module's dictionaries, counted. */
  *#part(state: Entries, part: string, prefix: string): Generator<[string, PickleValue]> {
    const value = state.get(part);
    const entries =
      value === undefined ? [] : (dictOf(value) ?? this.#fail(prefix, `has ${part} that are no dictionary`));
    for (const [key, item] of entries) {
      if (this.#left-- <= 0) this.#fail("", `has more than ${maximumEntries} modules and weights`);
      if (typeof key !== "string") return this.#fail(prefix, `has an entry in ${part} whose name is no text`);
      yield [key, item];
    }
  }

  #name(key: string, prefix: string): string {
    if (prefix.length + key.length > maximumName) this.#fail(prefix, `has a name of ${key.length} characters`);
    return prefix + key;
  }

  #fail(prefix: string, problem: string): never {
    const where = prefix === "" ? "the network" : prefix.slice(0, -1);
    throw new EvenkeelError("file", `${this.#source}: ${where} ${problem}.`);
  }
}

type Entries = ReadonlyMap<PickleValue, PickleValue>;
