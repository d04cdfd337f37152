export { classifierExtractor } from "./extractor.ts";
export {
  type ClassifierConfig,
  classifierConfig,
  type ClassifierWeights,
  describeClassifier,
} from "./network.ts";
export { ClassifierTrainer, type ClassifierTraining, defaultClassifierTraining } from "./trainer.ts";
