import {
  exactScorer,
  growToyMixture,
  type PointScorer,
  ScoreProgram,
  type ToyClass,
  toyClasses,
} from "../../diffusion/toy/index.ts";
import { readToySnapshot } from "../../diffusion/toy/node.ts";
import { type Device, EvenkeelError } from "../../engine/index.ts";

/** A model, or the truth in its place. Dispose of it. */
export type NamedScorer = {
  readonly name: string;
  readonly cls: ToyClass;
  readonly scores: PointScorer;
  /** What is known of a model's training; none of the truth. */
  readonly trained: { readonly dim: number; readonly layers: number; readonly iteration: number } | undefined;
  readonly dispose: () => void;
};

const exact = "exact:";

/**
 * The scorer of a file that `evenkeel toy train` wrote, or of `exact:A`, `exact:B` and `exact:AB`.
 * @throws EvenkeelError `value` for another class, `file` and `shape` as `readToySnapshot`.
 */
export async function openScorer(place: string, device: Device): Promise<NamedScorer> {
  if (place.startsWith(exact)) {
    const cls = toyClasses.find((known) => place === exact + known);
    if (cls === undefined) {
      throw new EvenkeelError(
        "value",
        `${place} is no exact score; expected ${toyClasses.map((known) => exact + known).join(", ")}.`,
      );
    }
    return {
      name: `exact score of ${cls}`,
      cls,
      scores: exactScorer(growToyMixture(cls)),
      trained: undefined,
      dispose: () => undefined,
    };
  }
  const { training, iteration, weights } = await readToySnapshot(place);
  const { dim, layers } = training.model;
  const program = await ScoreProgram.create(training.model, weights, device);
  return {
    name: `${dim} wide, ${iteration} iterations`,
    cls: training.cls,
    scores: program.scores,
    trained: { dim, layers, iteration },
    dispose: () => program.dispose(),
  };
}
