import type { KubeObject } from '../../kubernetes/object';
import { listAt, textAt } from '../../kubernetes/read';
import type { ImageChange } from '../model/types';

/** Where built-in kinds and custom resources such as rollouts have their pod template. */
const templates: readonly (readonly string[])[] = [
  ['spec', 'template', 'spec'],
  ['spec', 'jobTemplate', 'spec', 'template', 'spec'],
  ['spec'],
];

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
