import type { Remote } from "comlink";
import { useEffect, useState } from "preact/hooks";
import { bytesText, short, whole } from "../numbers.ts";
import { saying } from "../state/lab.ts";
import type { Explaining, KernelFacts, ProgramFacts } from "../worker/explaining.ts";
import { TextPart } from "./textPart.tsx";
import { compact } from "./texts.ts";

type Column = {
  readonly title: string;
  /** What it is sorted by. */
  readonly value: (kernel: KernelFacts) => number | string;
  readonly text: (kernel: KernelFacts) => string;
};

const buffers = (numbers: readonly number[]): string => numbers.map((number) => `b${number}`).join(" ");

const columns: readonly Column[] = [
  { title: "Step", value: ({ step }) => step, text: ({ step }) => String(step) },
  { title: "Kernel", value: ({ name }) => name, text: ({ name }) => name },
  { title: "Kind", value: ({ kind }) => kind, text: ({ kind }) => kind },
  { title: "Share", value: ({ share }) => share, text: ({ share }) => `${(100 * share).toFixed(1)}%` },
  {
    title: "ms",
    value: ({ milliseconds }) => milliseconds ?? -1,
    text: ({ milliseconds: ms }) => ms?.toFixed(3) ?? "",
  },
  {
    title: "GFLOP/s",
    value: (kernel) => kernel.gigaflopsPerSecond ?? -1,
    text: (kernel) => kernel.gigaflopsPerSecond?.toFixed(2) ?? "",
  },
  { title: "Flops", value: ({ flops }) => flops, text: ({ flops }) => compact(flops) },
  { title: "Bytes", value: ({ bytes }) => bytes, text: ({ bytes }) => bytesText(bytes) },
  {
    title: "Flops/byte",
    value: ({ intensity }) => intensity ?? -1,
    text: ({ intensity }) => (intensity === null ? "" : short(intensity)),
  },
  {
    title: "Buffers",
    value: ({ operands, results }) => operands.length + results.length,
    text: ({ operands, results }) => `${buffers(operands)} → ${buffers(results)}`,
  },
];

type Sorting = { readonly column: number; readonly isDescending: boolean };

function sorted(kernels: readonly KernelFacts[], { column, isDescending }: Sorting): readonly KernelFacts[] {
  const value = columns[column]?.value ?? (({ step }: KernelFacts) => step);
  const compare = (one: KernelFacts, other: KernelFacts): number => {
    const [a, b] = [value(one), value(other)];
    const order = typeof a === "string" || typeof b === "string" ? String(a).localeCompare(String(b)) : a - b;
    return isDescending ? -order : order;
  };
  return kernels.toSorted(compare);
}

type KernelsProps = { readonly number: number; readonly program: ProgramFacts; readonly texts: Remote<Explaining> };

/** All kernels of a program, and the one that is looked at. */
export function Kernels({ number, program, texts }: KernelsProps) {
  const [sorting, sortBy] = useState<Sorting>({ column: 3, isDescending: true });
  const [query, setQuery] = useState("");
  const [found, setFound] = useState<ReadonlyMap<number, number> | null>(null);
  const [chosen, choose] = useState<number | null>(null);
  useEffect(() => {
    if (query === "") {
      setFound(null);
      return undefined;
    }
    let isOver = false;
    const look = setTimeout(() => {
      void saying(
        texts.search(number, query).then((list) => {
          if (!isOver) setFound(new Map(list.map(({ step, count }) => [step, count])));
        }),
      );
    }, 120);
    return () => {
      isOver = true;
      clearTimeout(look);
    };
  }, [texts, number, query]);
  const { kernels, measure } = program;
  const shown = sorted(found === null ? kernels : kernels.filter(({ step }) => found.has(step)), sorting);
  const matches = found === null ? 0 : [...found.values()].reduce((sum, count) => sum + count, 0);
  const kernel = chosen === null ? undefined : kernels[chosen];
  return (
    <section class="panel" aria-label="Kernels">
      <div class="panelHead">
        <h2>Kernels</h2>
        <span class="quiet">Share is of {measure}; choose a kernel to see its loops and sources.</span>
      </div>
      <div class="textTools" role="search" aria-label="Search in all kernels">
        <input
          type="search"
          aria-label="Search kernels"
          placeholder="Search names, kinds, loops and sources"
          value={query}
          onInput={(event) => setQuery(event.currentTarget.value)}
        />
        <span class="quiet" role="status">
          {found === null
            ? `${whole(kernels.length)} kernels`
            : `${whole(found.size)} of ${whole(kernels.length)} kernels, ${whole(matches)} ${matches === 1 ? "match" : "matches"}`}
        </span>
      </div>
      <div class="tableBox" tabIndex={0} role="region" aria-label="Table of kernels">
        <table class="kernelTable">
          <thead>
            <tr>
              {columns.map(({ title }, column) => (
                <Heading key={title} title={title} column={column} sorting={sorting} sortBy={sortBy} />
              ))}
            </tr>
          </thead>
          <tbody>
            {shown.map((each) => (
              <Row key={each.step} kernel={each} isChosen={each.step === chosen} choose={choose} />
            ))}
          </tbody>
        </table>
      </div>
      {kernel !== undefined && <ChosenKernel number={number} kernel={kernel} texts={texts} query={query} />}
    </section>
  );
}

type HeadingProps = {
  readonly title: string;
  readonly column: number;
  readonly sorting: Sorting;
  readonly sortBy: (sorting: Sorting) => void;
};

function Heading({ title, column, sorting, sortBy }: HeadingProps) {
  const isSorted = sorting.column === column;
  const order = !isSorted ? "none" : sorting.isDescending ? "descending" : "ascending";
  // Numbers are looked at from the largest on, names and steps from the first.
  const isDescending = isSorted ? !sorting.isDescending : column > 2 && column < columns.length - 1;
  return (
    <th scope="col" aria-sort={order}>
      <button type="button" onClick={() => sortBy({ column, isDescending })}>
        {title}
        <span aria-hidden="true">{!isSorted ? "" : sorting.isDescending ? " ▾" : " ▴"}</span>
      </button>
    </th>
  );
}

type RowProps = {
  readonly kernel: KernelFacts;
  readonly isChosen: boolean;
  readonly choose: (step: number) => void;
};

function Row({ kernel, isChosen, choose }: RowProps) {
  return (
    <tr class={isChosen ? "chosen" : undefined}>
      {columns.map(({ title, text }) =>
        title === "Kernel" ? (
          <th key={title} scope="row">
            <button type="button" aria-pressed={isChosen} onClick={() => choose(kernel.step)}>
              {text(kernel)}
            </button>
          </th>
        ) : (
          <td
            key={title}
            class={title === "Share" ? "share" : undefined}
            style={{ "--share": `${100 * kernel.share}%` }}
          >
            {text(kernel)}
          </td>
        ),
      )}
    </tr>
  );
}

type ChosenProps = {
  readonly number: number;
  readonly kernel: KernelFacts;
  readonly texts: Remote<Explaining>;
  readonly query: string;
};

/** Its loop nest, and what the device made of it. */
function ChosenKernel({ number, kernel, texts, query }: ChosenProps) {
  const [form, show] = useState(0);
  const { step, name, sources } = kernel;
  const forms = ["loop nest", ...sources];
  const shown = Math.min(form, sources.length);
  const place =
    shown === 0
      ? ({ kind: "loops", program: number, step } as const)
      : ({ kind: "source", program: number, step, source: shown - 1 } as const);
  return (
    <section class="chosenKernel" aria-label="Chosen kernel">
      <div class="panelHead">
        <h3>
          {step}. {name}
        </h3>
        <div class="segments" role="group" aria-label="Form of the kernel">
          {forms.map((title, i) => (
            <button key={`${i} ${title}`} type="button" aria-pressed={i === shown} onClick={() => show(i)}>
              {title}
            </button>
          ))}
        </div>
      </div>
      <TextPart title={`${forms[shown] ?? "Text"} of ${name}`} place={place} texts={texts} query={query} />
    </section>
  );
}
