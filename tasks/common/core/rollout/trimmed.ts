import { isRecord } from '../kubernetes/json';
import type { KubeObject } from '../kubernetes/object';
import { at, listAt } from '../kubernetes/read';

/** Keeps the fields that judging reads of pods, ReplicaSets and events, which come by the thousand. */
export function trimmed(object: KubeObject): KubeObject {
  const { apiVersion, kind } = object;
  switch (`${apiVersion}/${kind}`) {
    case 'v1/Pod':
      return { apiVersion, kind, metadata: metadataOf(object), spec: podSpec(object), status: podStatus(object) };
    case 'apps/v1/ReplicaSet':
      return {
        ...object,
        metadata: { ...metadataOf(object), ...picked(object.metadata, ['annotations']) },
        spec: without(object['spec'], ['template']),
      };
    case 'v1/Event':
      return { apiVersion, kind, metadata: metadataOf(object), ...picked(object, eventFields) };
    default:
      return object;
  }
}

type Json = Readonly<Record<string, unknown>>;

const metadataFields = [
  'namespace',
  'uid',
  'resourceVersion',
  'generation',
  'creationTimestamp',
  'deletionTimestamp',
  'deletionGracePeriodSeconds',
  'finalizers',
  'ownerReferences',
  'labels',
];

function metadataOf({ metadata }: KubeObject): KubeObject['metadata'] {
  return { name: metadata.name, ...picked(metadata, metadataFields) };
}

const podFields = ['nodeName', 'nodeSelector', 'affinity', 'restartPolicy', 'readinessGates', 'schedulingGates'];
const containerFields = [
  'name',
  'image',
  'resources',
  'readinessProbe',
  'startupProbe',
  'restartPolicy',
  'restartPolicyRules',
];

function podSpec(pod: KubeObject): Json {
  const spec = at(pod, 'spec');
  const claims = listAt(spec, 'volumes').filter((volume) => volume['persistentVolumeClaim'] !== undefined);
  return {
    ...picked(spec, podFields),
    ...(claims.length === 0 ? {} : { volumes: claims }),
    ...eachOf(spec, 'initContainers', (container) => picked(container, containerFields)),
    ...eachOf(spec, 'containers', (container) => picked(container, containerFields)),
  };
}

const unreadOfStatus = ['imageID', 'containerID', 'resources', 'allocatedResources', 'volumeMounts', 'user'];

function podStatus(pod: KubeObject): Json {
  const status = at(pod, 'status');
  return {
    ...picked(status, ['phase', 'reason', 'message', 'conditions', 'startTime']),
    ...eachOf(status, 'initContainerStatuses', (container) => without(container, unreadOfStatus)),
    ...eachOf(status, 'containerStatuses', (container) => without(container, unreadOfStatus)),
  };
}

const eventFields = [
  'involvedObject',
  'type',
  'reason',
  'message',
  'source',
  'reportingComponent',
  'count',
  'series',
  'eventTime',
  'firstTimestamp',
  'lastTimestamp',
];

function eachOf(value: unknown, list: string, trim: (item: Json) => Json): Json {
  return at(value, list) === undefined ? {} : { [list]: listAt(value, list).map(trim) };
}

function picked(value: unknown, fields: readonly string[]): Json {
  if (!isRecord(value)) return {};
  return Object.fromEntries(fields.flatMap((field) => (value[field] === undefined ? [] : [[field, value[field]]])));
}

function without(value: unknown, fields: readonly string[]): Json {
  if (!isRecord(value)) return {};
  return Object.fromEntries(Object.entries(value).filter(([field]) => !fields.includes(field)));
}
