// What is said of a trace beside its verdict: the notice above the exchanges, and the title of the window.

import { clock, counted } from "./format.js";

/** Return what has to be known of the records that are shown; empty where there is nothing. */
export function noticeOf({ live, why, leftOut, records }) {
  const died = records.nodes.findLast(({ kind }) => kind === "died");
  const notices = [
    live === "ended" && `This trace has ended. ${why}`,
    leftOut > 0 && `${counted(leftOut, "record")} came faster than this page reads, and are kept no more.`,
    died &&
      `The node ${died.node} died after ${clock(died.at)} UTC: what it saw in its last moments may be missing.`,
  ];
  return notices.filter(Boolean).join(" ");
}

/** Return the title of the window. */
export function windowTitle({ place, report, compare }) {
  const errors = report.findings.filter(({ level, resolved }) => level === "error" && !resolved).length;
  return [compare ? "Compare" : errors > 0 && counted(errors, "error"), place.label || "Trace", "mcp-echo"]
    .filter(Boolean)
    .join(" · ");
}
