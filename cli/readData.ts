import {
  describeNotice,
  type ImageDataset,
  listNotice,
  Notices,
  type Reading,
  type TrainingDataset,
} from "../diffusion/data/index.ts";
import { damagedPictures, openDataset, openTrainingData } from "../diffusion/data/node.ts";
import { WorkProgress } from "./workProgress.ts";

/** Reads a data set, and tells on stderr how far it is and what was left out, changed or guessed. @throws EvenkeelError as `openDataset`. */
export async function readData(path: string): Promise<ImageDataset> {
  return tellingOf((reading) => openDataset(path, reading));
}

/** The same of what a network can be trained on: pictures or latents. */
export async function readTrainingData(path: string): Promise<TrainingDataset> {
  return tellingOf((reading) => openTrainingData(path, reading));
}

/**
 * Does something with data, and tells on stderr how far it is and, at the end, what was left out, changed or guessed.
 * @param prefix in front of what is told.
 */
export async function tellingOf<T>(task: (reading: Reading) => Promise<T>, prefix = ""): Promise<T> {
  const notices = new Notices();
  const progress = new WorkProgress();
  let result: T;
  try {
    result = await task({ notices, onProgress: progress.at });
  } finally {
    progress.end();
  }
  for (const notice of notices.list) {
    // Whoever wants to mend them needs their names.
    const describe = notice.what === damagedPictures ? listNotice : describeNotice;
    console.error(`${prefix}${describe(notice)}`);
  }
  return result;
}
