/** The explanation that the view shows. It stays when another view is looked at. */
import * as Comlink from "comlink";
import { signal } from "@preact/signals";
import { type LabThread, startWorker } from "../state/workers.ts";
import type { Explaining, ExplainRequest, ProgramFacts } from "../worker/explaining.ts";

/** What there is to show. */
export type ExplanationState =
  | { readonly kind: "none" }
  | { readonly kind: "busy"; readonly what: string }
  | { readonly kind: "failed"; readonly message: string }
  | {
      readonly kind: "done";
      /** What was explained. */
      readonly title: string;
      readonly programs: readonly ProgramFacts[];
      readonly texts: Comlink.Remote<Explaining>;
    };

export const explanation = signal<ExplanationState>({ kind: "none" });

let thread: LabThread | undefined;

/** Explains a step in a worker of its own, which then keeps its texts: the one before is ended. */
export async function explain(title: string, request: ExplainRequest): Promise<void> {
  end({ kind: "busy", what: "starting" });
  const own = startWorker((message) => tell(own, { kind: "failed", message }));
  thread = own;
  try {
    const texts = await own.lab.explaining();
    const programs = await texts.explain(
      request,
      Comlink.proxy((what: string) => tell(own, { kind: "busy", what })),
    );
    tell(own, { kind: "done", title, programs, texts });
  } catch (reason) {
    tell(own, { kind: "failed", message: reason instanceof Error ? reason.message : String(reason) });
  }
}

/** What a worker tells that was ended meanwhile doesn't count. */
function tell(from: LabThread, state: ExplanationState): void {
  if (from === thread) explanation.value = state;
}

/** Ends what goes on. */
export function cancelExplanation(): void {
  end({ kind: "none" });
}

function end(state: ExplanationState): void {
  thread?.end();
  thread = undefined;
  explanation.value = state;
}
