import { EVENT_ID, getScalarValue, parseEvents, SCALAR_STYLE, type Event, type ScalarEvent } from 'js-yaml';
import { coreTag, fieldName, mergedFields, scalarValue, Unreadable } from './goYamlValues';
import { deepest } from './yamlDepth';

/** Returns undefined for a document that js-yaml or go-yaml refuses. */
export function readPlainYaml(text: string): { value: unknown } | undefined {
  try {
    return { value: new EventReader(text).document() };
  } catch {
    return undefined;
  }
}

type NodeEvent = Extract<Event, { tagStart: number }>;

class EventReader {
  private readonly events: readonly Event[];
  private position = 0;
  /** An alias refers to the last definition of its anchor before it. */
  private readonly anchors = new Map<string, unknown>();
  private readonly open = new Set<unknown>();

  constructor(private readonly text: string) {
    this.events = parseEvents(text, { maxDepth: deepest });
  }

  document(): unknown {
    const documents = this.events.filter(({ type }) => type === EVENT_ID.DOCUMENT).length;
    if (documents > 1) throw new Unreadable('TWO_DOCUMENTS');
    this.position = 1;
    return documents === 0 || this.isAtEnd() ? null : this.read();
  }

  private isAtEnd(): boolean {
    return this.events[this.position]?.type === EVENT_ID.POP;
  }

  private read(): unknown {
    const event = this.events[this.position];
    this.position += 1;
    switch (event?.type) {
      case EVENT_ID.ALIAS:
        return this.target(this.text.slice(event.anchorStart, event.anchorEnd));
      case EVENT_ID.SCALAR:
        return this.anchored(event, this.scalar(event));
      case EVENT_ID.SEQUENCE:
        return this.items(this.anchored(event, []));
      case EVENT_ID.MAPPING:
        return this.fields(this.anchored(event, {}));
      default:
        throw new Unreadable('NO_NODE');
    }
  }

  private target(anchor: string): unknown {
    const value = this.anchors.get(anchor);
    if (value === undefined || this.open.has(value)) throw new Unreadable('UNKNOWN_ANCHOR');
    return value;
  }

  private anchored<Value>({ anchorStart, anchorEnd }: NodeEvent, value: Value): Value {
    if (anchorStart >= 0) this.anchors.set(this.text.slice(anchorStart, anchorEnd), value);
    return value;
  }

  private scalar(event: ScalarEvent): unknown {
    const isPlain = event.style === SCALAR_STYLE.PLAIN;
    return scalarValue(getScalarValue(this.text, event), isPlain, this.tagOf(event));
  }

  private tagOf({ tagStart, tagEnd }: NodeEvent): string | undefined {
    if (tagStart < 0) return undefined;
    const tag = this.text.slice(tagStart, tagEnd);
    return tag.startsWith('!<') ? tag.slice(2, -1) : tag.replace(/^!!/, coreTag);
  }

  private items(items: unknown[]): unknown[] {
    this.open.add(items);
    while (!this.isAtEnd()) items.push(this.read());
    return this.closed(items);
  }

  private fields(fields: Record<string, unknown>): object {
    this.open.add(fields);
    while (!this.isAtEnd()) {
      const isMerge = this.isMergeKey();
      const key = this.read();
      const value = this.read();
      if (!isMerge) setField(fields, fieldName(key), value);
      else for (const [name, field] of mergedFields(value)) setField(fields, name, field);
    }
    return this.closed(fields);
  }

  private closed<Value>(collection: Value): Value {
    this.position += 1;
    this.open.delete(collection);
    return collection;
  }

  private isMergeKey(): boolean {
    const event = this.events[this.position];
    if (event?.type !== EVENT_ID.SCALAR || event.style !== SCALAR_STYLE.PLAIN) return false;
    return this.text.slice(event.valueStart, event.valueEnd) === '<<';
  }
}

function setField(fields: Record<string, unknown>, name: string, value: unknown): void {
  // An assignment to this name would make no field.
  if (name === '__proto__') {
    Object.defineProperty(fields, name, { value, enumerable: true, configurable: true, writable: true });
  } else fields[name] = value;
}
