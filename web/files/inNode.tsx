import { datasets, runs } from "../state/lab.ts";
import { plainDatasetName } from "../worker/datasetName.ts";

/** Data that the command makes itself, of the emoji packages. */
const knownToCommand = /^emoji\d+(-[a-z]+)?$/;

const quoted = (text: string): string => (/^[\w./-]+$/.test(text) ? text : `"${text}"`);

/** How a run that was saved goes on in Node. */
export function InNode({ name }: { readonly name: string }) {
  const data = runs.value.find((run) => run.name === name)?.settings.data ?? "";
  const isKnown = knownToCommand.test(data);
  const own = plainDatasetName(data);
  const isHere = datasets.value.some(({ name: each }) => each === own);
  const file = isHere ? `${own}.zip` : data;
  return (
    <div class="inNode">
      <p>To go on with it in Node, unzip it and train in its folder:</p>
      <pre tabIndex={0} aria-label="Commands">
        {`unzip ${quoted(`${name}.zip`)}\nnpx evenkeel train --outdir ${quoted(name)}${isKnown ? "" : ` --data ${quoted(file)}`}`}
      </pre>
      {isKnown ? (
        <p class="quiet">Its images, {data}, are known to the command: it makes them of the emoji packages.</p>
      ) : (
        <p class="quiet">
          {isHere
            ? `Its images are another file: save the data set ${own} below.`
            : `Its images were read from ${data}, which must be there.`}
        </p>
      )}
    </div>
  );
}
