import type { KubeObject } from '../kubernetes/object';
import { numberAt, textAt, timeAt } from '../kubernetes/read';

export interface EventRecord {
  /** The uid of the event itself: a repeated event keeps it and only counts up. */
  uid: string;
  about: { kind: string; namespace: string; name: string; uid: string };
  /** `spec.containers{app}` for events about a container. */
  fieldPath: string;
  type: string;
  reason: string;
  message: string;
  source: string;
  count: number;
  /** Milliseconds since 1970, by the clocks of the cluster. */
  firstAt: number;
  lastAt: number;
}

export function eventRecord(event: KubeObject): EventRecord {
  const about = event['involvedObject'] === undefined ? 'regarding' : 'involvedObject';
  const made = timeAt(event, 'eventTime') || timeAt(event, 'metadata', 'creationTimestamp');
  const firstAt = timeAt(event, 'firstTimestamp') || timeAt(event, 'deprecatedFirstTimestamp') || made;
  const counted = timeAt(event, 'lastTimestamp') || timeAt(event, 'deprecatedLastTimestamp');
  return {
    uid: textAt(event, 'metadata', 'uid'),
    about: {
      kind: textAt(event, about, 'kind'),
      namespace: textAt(event, about, 'namespace'),
      name: textAt(event, about, 'name'),
      uid: textAt(event, about, 'uid'),
    },
    fieldPath: textAt(event, about, 'fieldPath'),
    type: textAt(event, 'type'),
    reason: textAt(event, 'reason'),
    // The output of a probe ends with a line break.
    message: (textAt(event, 'message') || textAt(event, 'note')).trim(),
    source:
      textAt(event, 'source', 'component') ||
      textAt(event, 'reportingComponent') ||
      textAt(event, 'reportingController') ||
      textAt(event, 'deprecatedSource', 'component'),
    count: numberAt(event, 'series', 'count') || numberAt(event, 'count') || numberAt(event, 'deprecatedCount') || 1,
    firstAt,
    lastAt: Math.max(timeAt(event, 'series', 'lastObservedTime'), counted, firstAt),
  };
}

export function newest(events: readonly EventRecord[], test: (event: EventRecord) => boolean): EventRecord | undefined {
  return events
    .filter(test)
    .reduce<EventRecord | undefined>(
      (best, event) => (best === undefined || event.lastAt >= best.lastAt ? event : best),
      undefined,
    );
}
