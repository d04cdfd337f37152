import type { ComponentChildren } from "preact";
import { useErrorBoundary } from "preact/hooks";

/** Says what a view failed with, in its place, and keeps the rest of the page. */
export function ViewBoundary({ children }: { readonly children: ComponentChildren }) {
  const failure: unknown = useErrorBoundary()[0];
  if (failure === undefined) return <>{children}</>;
  return (
    <div class="panel" role="alert">
      <p class="problem">This view can't be shown: {failure instanceof Error ? failure.message : "nobody knows why"}</p>
      <p class="quiet">
        The other views and runs that go on are not touched by this. If where the page came from can't be reached, load
        the page again when it can: runs go on by themselves.
      </p>
    </div>
  );
}
