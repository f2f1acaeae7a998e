import assert from 'node:assert/strict';
import { fieldWarning, fieldWarningWords } from '../../tasks/common/core/kubernetes/fieldWarnings';

describe('a warning about a field that the API server does not know', () => {
  const cases: [what: string, line: string, warning: string | undefined][] = [
    [
      'of Helm 3.14',
      'W1130 10:05:18.058773   22162 warnings.go:70] unknown field "spec.bar"',
      'unknown field "spec.bar"',
    ],
    [
      'of Helm 3.22 and 4',
      'I1130 10:05:20.566383   22246 warnings.go:107] "Warning: unknown field \\"spec.ports[0].portt\\""',
      'unknown field "spec.ports[0].portt"',
    ],
    [
      'of a field that comes twice',
      'W1130 1:1:1.1 2 warnings.go:70] duplicate field "data.a"',
      'duplicate field "data.a"',
    ],
    [
      'another warning',
      'W1130 10:05:18.058773 22162 warnings.go:70] policy/v1beta1 PodSecurityPolicy is deprecated',
      undefined,
    ],
    ['the same words of a chart', 'unknown field "spec.bar"', undefined],
    ['what is not quoted as Go does', 'I1130 1:1:1.1 2 warnings.go:107] "Warning: \\x"', undefined],
  ];
  for (const [what, line, warning] of cases) {
    it(`${what}: ${warning ?? 'none'}`, () => {
      assert.equal(fieldWarning(line), warning);
    });
  }

  it('is reported with the objects that have the field', () => {
    const service = (name: string, port: object) => ({
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name },
      spec: { ports: [port] },
    });
    const objects = [
      service('a', { portt: 1 }),
      service('b', { port: 1 }),
      service('c', { portt: 2 }),
      service('d', { portt: 2 }),
    ];
    const manifest = objects.map((object) => `---\n${JSON.stringify(object)}\n`).join('');
    const words =
      fieldWarningWords(['unknown field "spec.ports[0].portt"', 'unknown field "spec.none"'], manifest) ?? '';
    assert.match(
      words,
      /: unknown field "spec\.ports\[0\]\.portt" \(Service\/a, Service\/c and 1 more\), unknown field "spec\.none"\. /,
    );
    assert.equal(fieldWarningWords([], manifest), undefined);
  });

  it('many warnings are counted', () => {
    const warnings = Array.from({ length: 12 }, (_, index) => `unknown field "spec.f${index}"`);
    assert.match(fieldWarningWords(warnings, '') ?? '', /"spec\.f9" and 2 more\. /);
  });
});
