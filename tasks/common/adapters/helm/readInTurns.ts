import { setImmediate } from 'node:timers/promises';
import { goYamlDocuments } from '../../core/kubernetes/goYaml';

/** How long the event loop may be held up at a time, in milliseconds; one document that takes longer is not divided. */
const turnMs = 50;
/** Characters below which a manifest is read in one turn anyway. */
const smallManifest = 100_000;

/**
 * Parses a large manifest before others need it, and lets the event loop run between its documents. Parsing 10 MB takes
 * 5 s of processor time (measured): without a break neither the lease is renewed nor a signal heard meanwhile. What is
 * parsed here is remembered by `readGoYaml`.
 */
export async function readInTurns(manifest: string): Promise<void> {
  if (manifest.length < smallManifest) return;
  let begun = performance.now();
  for (const _document of goYamlDocuments(manifest)) {
    if (performance.now() - begun < turnMs) continue;
    await setImmediate();
    begun = performance.now();
  }
}
