import { grownWords, isClaim } from '../../core/release/grownClaim';
import { desiredFromManifest } from '../../core/kubernetes/manifest';
import type { ObjectRef } from '../../core/kubernetes/object';
import type { Revision } from '../../core/release/release';
import type { ReleaseContext } from '../../core/releaseContext';
import { liveRef } from '../release/desiredObjects';

/** A claim that is larger than the target of a rollback declares it. `words` is a sentence. */
export interface GrownClaim {
  ref: ObjectRef;
  words: string;
}

/** A claim that cannot be read is left out: Helm finds out itself. */
export async function grownClaims(
  { cluster, namespace }: ReleaseContext,
  { manifest }: Revision,
): Promise<readonly GrownClaim[]> {
  const found = desiredFromManifest(manifest, namespace)
    .filter(isClaim)
    .map(async (declared): Promise<GrownClaim[]> => {
      const ref = await liveRef(cluster, declared, namespace);
      const live = ref && (await cluster.get(ref).catch(() => undefined));
      const words = live && grownWords(declared, live);
      return ref === undefined || words === undefined ? [] : [{ ref, words }];
    });
  return (await Promise.all(found)).flat();
}
