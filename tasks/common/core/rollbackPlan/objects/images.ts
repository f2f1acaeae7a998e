import type { KubeObject } from '../../kubernetes/object';
import { listAt, textAt } from '../../kubernetes/read';
import type { ImageChange } from '../model/types';

/** The paths of the pod template in built-in kinds and in custom resources such as rollouts. */
const templates: readonly (readonly string[])[] = [
  ['spec', 'template', 'spec'],
  ['spec', 'jobTemplate', 'spec', 'template', 'spec'],
  ['spec'],
];

/** The containers whose image changes. Approvers look at these first. */
export function imageChanges(before: KubeObject | undefined, after: KubeObject | undefined): ImageChange[] {
  const was = imagesOf(before);
  return [...imagesOf(after)].flatMap(([container, becomes]) => {
    const from = was.get(container);
    return from === undefined || from === becomes ? [] : [{ container, from, becomes }];
  });
}

function imagesOf(object: KubeObject | undefined): Map<string, string> {
  const containers = templates.flatMap((path) => [
    ...listAt(object, ...path, 'initContainers'),
    ...listAt(object, ...path, 'containers'),
  ]);
  return new Map(containers.map((container) => [textAt(container, 'name'), textAt(container, 'image')]));
}
