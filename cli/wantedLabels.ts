import { describeClasses, type ImageLabel, parseClasses } from "../diffusion/sample/index.ts";
import { readLabelVectors } from "../diffusion/data/node.ts";
import { EvenkeelError } from "../engine/index.ts";
import type { FoundNetwork, SampleSettings } from "./sampleSettings.ts";

/**
 * The labels that `--class` or `--labels` ask for, which the seeds take in turn; null if they are drawn. Says which they are, and from
 * what they are drawn if not from all classes.
 * @throws EvenkeelError `value` for labels that the network doesn't have, `file` for a file that can't be read.
 */
export async function wantedLabels(
  { net, classes, labels }: Pick<SampleSettings, "net" | "classes" | "labels">,
  { config, classNames, seenLabels }: Pick<FoundNetwork, "config" | "classNames" | "seenLabels">,
  print: (line: string) => void,
): Promise<readonly ImageLabel[] | null> {
  const { labelDim } = config.unet;
  if (labelDim === 0) {
    if (classes === undefined && labels === undefined) return null;
    const option = classes === undefined ? `--labels ${labels ?? ""}` : `--class ${classes}`;
    throw new EvenkeelError("value", `sample: ${net} takes no labels; leave ${option} out.`);
  }
  if (labels !== undefined) {
    const vectors = await readLabelVectors(labels, labelDim);
    print(`labels: ${vectors.length} of ${labels}, taken in turn`);
    return vectors;
  }
  if (seenLabels?.kind === "vectors") {
    if (classes !== undefined) {
      throw new EvenkeelError(
        "value",
        `sample: the labels of ${net} are vectors of ${labelDim} numbers and no classes. Leave --class out, and labels of its ` +
          "training data are drawn, or give vectors by --labels FILE (.npy, .json).",
      );
    }
    print(`labels: drawn from ${seenLabels.values.length} label vectors of the training data`);
    return null;
  }
  const known = seenLabels?.values ?? null;
  if (classes === undefined) {
    if (known !== null) {
      print(
        `classes: drawn from the ${known.length} of ${labelDim} that had images: ${describeClasses(known, classNames)}`,
      );
    }
    return null;
  }
  const wanted = parseClasses(classes, { count: labelDim, names: classNames });
  print(`classes: ${describeClasses(wanted, classNames)}`);
  const seen = new Set(known);
  const unseen = known === null ? [] : [...new Set(wanted)].filter((each) => !seen.has(each));
  if (unseen.length > 0) {
    const list = describeClasses(unseen, classNames);
    print(`${net} had no images of ${unseen.length} of these classes, so that theirs mean nothing: ${list}`);
  }
  return wanted;
}
