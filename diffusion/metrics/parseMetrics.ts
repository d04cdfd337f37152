import { EvenkeelError } from "../../engine/index.ts";
import { nearestName } from "../nearestName.ts";
import { type MetricName, metricNames } from "./measure.ts";

/**
 * Metrics as they are listed: `frechet,kid`.
 * @throws EvenkeelError `value` for a name that there is none of, with the nearest one.
 * @example console.log(parseMetrics("frechet, kid")); // [ 'frechet', 'kid' ]
 */
export function parseMetrics(text: string): readonly MetricName[] {
  const names = text.split(",").map((name) => name.trim());
  const known = names.map((name) => {
    const metric = metricNames.find((each) => each === name);
    if (metric !== undefined) return metric;
    // A FID is a Fréchet distance in the features of one network, and no slip of the pen for kid.
    const near = name.toLowerCase() === "fid" ? "frechet" : nearestName(name, metricNames);
    const end = near === null ? "." : `; did you mean ${near}?`;
    throw new EvenkeelError("value", `${name === "" ? "nothing" : name} is none of ${metricNames.join(", ")}${end}`);
  });
  return [...new Set(known)];
}

/**
 * The fewest pictures of each set that a metric can be computed of. (Meaning more takes more.)
 * @param neighbours of precision and recall
 * @example console.log(fewestPictures("kid"), fewestPictures("recall")); // 2 4
 */
export function fewestPictures(metric: MetricName, neighbours = 3): number {
  switch (metric) {
    case "frechet":
    case "kid":
      return 2;
    case "precision":
    case "recall":
    case "density":
    case "coverage":
      return neighbours + 1;
  }
}
