import { bytesText, whole } from "../numbers.ts";
import { datasets, given, runs } from "../state/lab.ts";
import { choose } from "../state/choose.ts";
import { plainDatasetName } from "../worker/datasetName.ts";
import { kept, moving, removeDataset, saveDataset } from "./moving.ts";

/** Every data set that the lab has. */
export function DataTable() {
  return (
    <section class="panel" aria-label="Kept data sets">
      <div class="panelHead">
        <h2>Data sets</h2>
      </div>
      <ul class="keptList">
        {datasets.value.map(({ name, count, resolution, channels, classNames, isBundled }) => {
          const bytes = kept.value?.datasets.find((each) => each.name === name)?.bytes;
          const users = runs.value
            .filter(({ settings }) => plainDatasetName(settings.data) === name)
            .map((run) => run.name);
          return (
            <li key={name}>
              <p>
                <b>{name}</b>
              </p>
              <p class="quiet">
                {whole(count)} images, {resolution}×{resolution}, {channels === 1 ? "grey" : "colour"}
                {classNames === null ? "" : `, ${classNames.length} classes`};{" "}
                {isBundled ? "comes with the page" : bytes === undefined ? "" : bytesText(bytes)}
              </p>
              <div class="buttons">
                <button
                  type="button"
                  disabled={moving.value !== null}
                  aria-label={`Download as zip: data set ${name}`}
                  onClick={() => void saveDataset(name)}
                >
                  Download as zip
                </button>
                {!isBundled && (
                  <button
                    type="button"
                    disabled={moving.value !== null}
                    aria-label={`Remove data set ${name}`}
                    onClick={() => {
                      const used = users.length === 0 ? "" : ` ${users.join(", ")} can't go on without it.`;
                      if (!confirm(`Remove the data set ${name}?${used}`)) return;
                      if (given.value.data === name) {
                        choose("data", "emoji16");
                        choose("preset", "emoji16");
                      }
                      void removeDataset(name);
                    }}
                  >
                    Remove
                  </button>
                )}
              </div>
            </li>
          );
        })}
      </ul>
    </section>
  );
}
