import { at, listAt, textAt } from '../kubernetes/read';

/** A ConfigMap or Secret that a container reads when it starts, and never again. */
export interface ReadAtStart {
  container: string;
  kind: 'ConfigMap' | 'Secret';
  name: string;
  /** Undefined: all keys. */
  key?: string;
}

/** Environment variables and mounts with a subPath. The kubelet renews other mounts while a container runs. */
export function readAtStart(podSpec: unknown): ReadAtStart[] {
  return listAt(podSpec, 'containers').flatMap((declared) => {
    const container = textAt(declared, 'name');
    const found: ReadAtStart[] = [];
    const add = (kind: ReadAtStart['kind'], name: string, key = ''): void => {
      if (name !== '') found.push({ container, kind, name, ...(key === '' ? {} : { key }) });
    };
    for (const { valueFrom } of listAt(declared, 'env')) {
      add('ConfigMap', textAt(valueFrom, 'configMapKeyRef', 'name'), textAt(valueFrom, 'configMapKeyRef', 'key'));
      add('Secret', textAt(valueFrom, 'secretKeyRef', 'name'), textAt(valueFrom, 'secretKeyRef', 'key'));
    }
    for (const source of listAt(declared, 'envFrom')) {
      add('ConfigMap', textAt(source, 'configMapRef', 'name'));
      add('Secret', textAt(source, 'secretRef', 'name'));
    }
    for (const mount of listAt(declared, 'volumeMounts')) {
      if (textAt(mount, 'subPath') === '' && textAt(mount, 'subPathExpr') === '') continue;
      const volume = listAt(podSpec, 'volumes').find(({ name }) => name === mount['name']);
      for (const source of [volume, ...listAt(volume, 'projected', 'sources')]) {
        add('ConfigMap', textAt(source, 'configMap', 'name'));
        add('Secret', textAt(source, 'secret', 'secretName') || textAt(source, 'secret', 'name'));
      }
    }
    return found;
  });
}

/** What the object holds under the key, or all that it holds, in a form that can be compared. */
export function contentOf(object: unknown, key: string | undefined): unknown {
  const fields = ['data', 'stringData', 'binaryData'].map((field) => at(object, field) ?? {});
  return key === undefined ? fields : fields.map((field) => at(field, key) ?? null);
}
