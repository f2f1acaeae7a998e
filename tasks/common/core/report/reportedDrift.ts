import { isRecord } from '../kubernetes/json';
import { hiddenValue, type Drift, type DriftedField } from '../release/drift';
import { counted } from '../text/counted';
import { clipped } from '../text/foreignText';
import { redactedFields } from '../text/redactedFields';
import { namesSecret } from '../text/secretSources';
import type { Redact } from '../text/secrets';
import { narrow, textDiff } from '../text/textDiff';
import type { ReportedDrift } from './drift';

/** `redact` also hides the values of the release's Secrets. */
export function reportedDrift(
  { ref, drift, fields, message }: Drift,
  state: ReportedDrift['state'],
  redact: Redact,
): ReportedDrift {
  const { kind, name, namespace = '' } = ref;
  return {
    kind,
    name,
    namespace,
    drift,
    state,
    message: redact(message),
    diff: diffOf(fields, redact),
    setBy: fields.flatMap(({ path, owners }) =>
      owners.map(({ manager, subresource, time }) => ({
        path,
        manager: clipped(redact(manager), managerLimit),
        subresource,
        time,
      })),
    ),
  };
}

const managerLimit = 120;

function diffOf(fields: readonly DriftedField[], redact: Redact): string[] {
  if (fields.length === 0) return [];
  const state = (of: 'declared' | 'live'): Record<string, unknown> => {
    const shown = fields.flatMap((field): [string, unknown][] =>
      field[of] === undefined ? [] : [[field.path, shownValue(field, of)]],
    );
    return redactedFields(Object.fromEntries(shown), redact);
  };
  const { lines, cut } = textDiff(state('declared'), state('live'));
  const more = cut === 0 ? [] : [`... ${counted(cut, 'line', 'lines')} more`];
  return [...lines.filter((line) => !line.startsWith('@@')).map(narrow), ...more];
}

/** Nothing masks a password that somebody has set by hand, so the names of fields and variables decide too. */
function shownValue(field: DriftedField, of: 'declared' | 'live'): unknown {
  const isHidden = field[of] === hiddenValue || field.path.split(/[^\w-]+/).some((word) => namesSecret(word));
  return isHidden ? hiddenIn(of) : withoutSecrets(field[of], hiddenIn(of));
}

function hiddenIn(of: 'declared' | 'live'): string {
  return `(${of} value, not shown)`;
}

function withoutSecrets(value: unknown, hidden: string): unknown {
  if (Array.isArray(value)) return value.map((item) => withoutSecrets(item, hidden));
  if (!isRecord(value)) return value;
  const isNamed = typeof value['name'] === 'string' && namesSecret(value['name']);
  return Object.fromEntries(
    Object.entries(value).map(([name, field]) => [
      name,
      namesSecret(name) || (isNamed && name === 'value') ? hidden : withoutSecrets(field, hidden),
    ]),
  );
}
