import { setImmediate } from 'node:timers/promises';
import { goYamlDocuments } from '../../core/kubernetes/goYaml';

/** A turn takes this time. A document that takes longer is not divided. */
const turnMs = 50;
/** A manifest with fewer characters is read in one turn. */
const smallManifest = 100_000;

/**
 * Fills the memory of `readGoYaml` and lets the event loop run between documents. Parsing 10 MB takes a second or more
 * (measured), in which otherwise no lease is renewed and no signal is heard.
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
