import type { Remote } from "comlink";
import { useState } from "preact/hooks";
import { whole } from "../numbers.ts";
import type { Explaining, ProgramFacts } from "../worker/explaining.ts";
import { TextPart } from "./textPart.tsx";

/** The graph as it was traced and after each pass. */
export function Passes({
  number,
  program,
  texts,
}: {
  readonly number: number;
  readonly program: ProgramFacts;
  readonly texts: Remote<Explaining>;
}) {
  const [chosen, choose] = useState(0);
  const pass = program.passes[chosen];
  return (
    <section class="panel" aria-label="Graph">
      <div class="panelHead">
        <h2>Graph, pass by pass</h2>
      </div>
      <div class="segments" role="group" aria-label="Pass">
        {program.passes.map(({ name, nodes }, i) => (
          <button key={name} type="button" aria-pressed={i === chosen} onClick={() => choose(i)}>
            {name}: {whole(nodes)} nodes
          </button>
        ))}
      </div>
      {pass !== undefined && (
        <TextPart
          title={`Graph after ${pass.name}`}
          place={{ kind: "pass", program: number, pass: chosen }}
          texts={texts}
        />
      )}
    </section>
  );
}
