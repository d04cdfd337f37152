import type { Remote } from "comlink";
import { useEffect, useRef, useState } from "preact/hooks";
import { whole } from "../numbers.ts";
import { say, saying } from "../state/lab.ts";
import type { Explaining, TextMatches, TextPart as Part, TextPlace } from "../worker/explaining.ts";

/** Lines that the page has at once: more would make it slow. */
const pageLines = 400;

export type TextPartProps = {
  /** What the text is called. */
  readonly title: string;
  readonly place: TextPlace;
  readonly texts: Remote<Explaining>;
  /** What is looked for at first. */
  readonly query?: string;
};

/** A long text, some lines at a time, with a search over all of it. */
export function TextPart({ title, place, texts, query: first = "" }: TextPartProps) {
  const [part, show] = useState<Part | null>(null);
  const [query, setQuery] = useState(first);
  const [matches, setMatches] = useState<TextMatches | null>(null);
  // Which of the lines that have it is looked at.
  const [at, setAt] = useState(0);
  const box = useRef<HTMLPreElement>(null);
  const key = JSON.stringify(place);
  const line = matches?.lines[at] ?? null;
  const open = (start: number): Promise<unknown> =>
    saying(texts.lines(place, start, pageLines).then((found) => show(found)));
  useEffect(() => {
    show(null);
    setAt(0);
    setMatches(null);
    setQuery(first);
    if (first === "") void open(0);
  }, [key, first]);
  useEffect(() => {
    setAt(0);
    if (query === "") {
      setMatches(null);
      if (part === null) void open(0);
      return undefined;
    }
    let isOver = false;
    void saying(
      texts.find(place, query).then((found) => {
        if (isOver) return;
        setMatches(found);
        if (found.lines.length === 0 && part === null) void open(0);
      }),
    );
    return () => void (isOver = true);
  }, [key, query]);
  useEffect(() => {
    if (line === null) return;
    const isShown = part !== null && line >= part.first && line < part.first + part.lines.length;
    if (!isShown) void open(Math.floor(line / pageLines) * pageLines);
    else {
      const row = box.current?.children[line - part.first];
      if (box.current !== null && row instanceof HTMLElement) {
        box.current.scrollTop = row.offsetTop - box.current.clientHeight / 3;
      }
    }
  }, [line, part]);
  const found = matches?.lines.length ?? 0;
  const step = (by: number): void => setAt((at + by + found) % found);
  const last = part === null ? 0 : part.first + part.lines.length;
  const copy = async (): Promise<void> => {
    try {
      await navigator.clipboard.writeText(await texts.text(place));
      say("note", `${title} is copied.`);
    } catch {
      say("error", "The browser doesn't let the page copy. Select the text and copy it.");
    }
  };
  return (
    <div class="textPart">
      <div class="textTools" role="search" aria-label={`Search in ${title}`}>
        <input
          type="search"
          aria-label={`Search in ${title}`}
          placeholder="Search in this text"
          value={query}
          onInput={(event) => setQuery(event.currentTarget.value)}
          onKeyDown={(event) => {
            if (event.key !== "Enter" || found === 0) return;
            event.preventDefault();
            step(event.shiftKey ? -1 : 1);
          }}
        />
        <span class="quiet" role="status">
          {matches === null
            ? ""
            : `${whole(matches.count)} ${matches.count === 1 ? "match" : "matches"} in ${whole(found)} ${found === 1 ? "line" : "lines"}${found > 1 ? `, at ${at + 1}` : ""}`}
        </span>
        <button type="button" disabled={found < 2} onClick={() => step(-1)}>
          Previous match
        </button>
        <button type="button" disabled={found < 2} onClick={() => step(1)}>
          Next match
        </button>
        <button type="button" onClick={() => void copy()}>
          Copy
        </button>
      </div>
      {part === null ? (
        <p class="quiet">Reading…</p>
      ) : (
        <>
          <pre ref={box} tabIndex={0} aria-label={title}>
            {part.lines.map((text, i) => (
              <div key={part.first + i} class={part.first + i === line ? "found" : undefined}>
                {marked(text, query)}
                {"\n"}
              </div>
            ))}
          </pre>
          {part.total > pageLines && (
            <div class="textTools">
              <button type="button" disabled={part.first === 0} onClick={() => void open(part.first - pageLines)}>
                Earlier lines
              </button>
              <span class="quiet">
                Lines {whole(part.first + 1)} to {whole(last)} of {whole(part.total)}
              </span>
              <button type="button" disabled={last >= part.total} onClick={() => void open(part.first + pageLines)}>
                Later lines
              </button>
            </div>
          )}
        </>
      )}
    </div>
  );
}

/** A line with what is looked for marked. */
function marked(text: string, query: string) {
  if (query === "") return text;
  const lower = text.toLowerCase();
  const wanted = query.toLowerCase();
  const parts = [];
  let from = 0;
  for (let at = lower.indexOf(wanted); at >= 0; at = lower.indexOf(wanted, from)) {
    parts.push(text.slice(from, at), <mark key={at}>{text.slice(at, at + wanted.length)}</mark>);
    from = at + wanted.length;
  }
  return from === 0 ? text : [...parts, text.slice(from)];
}
