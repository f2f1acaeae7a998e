import assert from 'node:assert/strict';
import { TaskError } from '../../tasks/common/core/failure';
import { bakeInputDefaults, readBakeRequest, readBakes } from '../../tasks/common/core/inputs/bakeRequest';
import { inputReader, type InputContext, type InputFiles } from '../../tasks/common/core/inputs/inputs';
import { redactor, secretFinder } from '../../tasks/common/core/text/secrets';

type Given = Readonly<Record<string, string>>;

const files = (known: Given): InputFiles => ({
  absolute: (path) => `/w/${path}`,
  kind: (path) => (Object.hasOwn(known, path) ? 'file' : 'missing'),
  names: () => [],
  readText: (path) => known[path] ?? assert.fail(path),
});

function read(given: Given, known: Given = {}, isCheck = false) {
  const context: InputContext = {
    files: files(known),
    secrets: secretFinder([]),
    redact: redactor([]),
    serviceConnections: [],
  };
  const reader = inputReader(bakeInputDefaults, (name) => given[name], context);
  const request = readBakeRequest(reader, context, { isCheck });
  const bakes = readBakes(reader);
  reader.finish();
  assert.equal(bakes, request !== undefined);
  return request;
}

function mistakes(given: Given, known: Given = {}, isCheck = false): string {
  try {
    read(given, known, isCheck);
  } catch (error) {
    assert.ok(error instanceof TaskError);
    return error.message;
  }
  return assert.fail('no mistake was found');
}

const server = { metricsServer: 'https://prometheus.example.com' };
const one = `- name: errors
  query: sum(rate(errors{namespace="{{ namespace }}"}[1m]))
  successCondition: result < 0.01
`;
const yaml = (text: string): Given => ({ ...server, metrics: text });

describe('the inputs of the baking', () => {
  for (const given of [
    {},
    { bakeFor: '0s' },
    { bakeFor: '0' },
    { bakeFor: '' },
    { ...server, onInconclusive: 'pass' },
  ]) {
    it(`${JSON.stringify(given)}: the step does not bake`, () => {
      assert.equal(read(given), undefined);
    });
  }

  it('bakeFor alone bakes without metrics', () => {
    assert.deepEqual(read({ bakeFor: '90s' }), { seconds: 90, onInconclusive: 'fail' });
  });

  it('a metric has defaults, and the baking lasts until its last sample', () => {
    const request = read(yaml(one));
    assert.equal(request?.seconds, 150);
    assert.deepEqual(request.metrics?.metrics[0], {
      name: 'errors',
      source: { kind: 'prometheus', query: 'sum(rate(errors{namespace="{{ namespace }}"}[1m]))' },
      condition: request.metrics?.metrics[0]?.condition,
      initialDelaySeconds: 0,
      intervalSeconds: 30,
      count: 5,
      failureLimit: 0,
      inconclusiveLimit: 0,
    });
  });

  it('values of the top are shared, and a metric may have its own', () => {
    const text = `interval: 10s
count: 3
initialDelay: 1m
failureLimit: 1
metrics:
  - name: errors
    query: errors
    successCondition: result < before * 1.1
  - name: health
    url: service:shop/web:80/health
    jsonPointer: /status
    successCondition: result == "UP"
    interval: 5s
    count: 2
    initialDelay: 0s
    failureLimit: 0
    inconclusiveLimit: 1
`;
    const request = read(yaml(text));
    assert.equal(request?.seconds, 90);
    const told = request.metrics?.metrics.map(
      ({ name, intervalSeconds, count, initialDelaySeconds, failureLimit, inconclusiveLimit }) =>
        [name, intervalSeconds, count, initialDelaySeconds, failureLimit, inconclusiveLimit].join(' '),
    );
    assert.deepEqual(told, ['errors 10 3 60 1 0', 'health 5 2 0 0 1']);
  });

  for (const [title, text, count] of [
    ['a metric', one, 1],
    ['two metrics', `${one}${one.replace('errors', 'more')}`, 2],
    ['a mapping', `interval: 10s\ncount: 3\nmetrics:\n${one}`, 1],
  ] as const) {
    it(`${title} may be indented as a whole, although the agent trims the first line`, () => {
      const trimmed = text.replace(/^/gm, '      ').trim();
      assert.equal(read(yaml(trimmed))?.metrics?.metrics.length, count);
      assert.match(mistakes(yaml(trimmed.replace('query:', 'quer:'))), /line \d holds "quer"/);
    });
  }

  it('a file is read in place of the text', () => {
    const request = read({ ...server, metrics: 'deploy/metrics.yaml' }, { 'deploy/metrics.yaml': one });
    assert.equal(request?.metrics?.metrics.length, 1);
  });

  it('with bakeFor, a metric without a count takes as many samples as fit', () => {
    const request = read({ ...yaml(`initialDelay: 1m\ninterval: 20s\nmetrics:\n${one}`), bakeFor: '3m' });
    assert.equal(request?.seconds, 180);
    assert.equal(request.metrics?.metrics[0]?.count, 6);
  });

  it('metrics of JSON alone need no server', () => {
    const text =
      '- name: up\n  url: https://shop.example/health\n  jsonPointer: /up\n  successCondition: result == true\n';
    assert.equal(read({ metrics: text })?.metrics?.server, undefined);
  });

  const cases: readonly (readonly [string, Given, RegExp])[] = [
    ['no server', { metrics: one }, /metricsServer: a metric has a query, so a server is needed/],
    ['a wrong server', { ...yaml(one), metricsServer: 'prometheus' }, /metricsServer holds "prometheus"; expected an address/],
    [
      'a server with a password',
      { ...yaml(one), metricsServer: 'https://u:hunter22@x' },
      /metricsServer: a password in an address would be shown/,
    ],
    [
      'an address with a password',
      yaml('- name: a\n  url: https://u:hunter22@x\n  successCondition: result < 1\n'),
      /line 2: url: a password in an address would be shown/,
    ],
    ['a missing file', yaml('metrics.yml'), /metrics holds "metrics.yml"; there is no such file/],
    ['no YAML', yaml('- name: [\n'), /Input metrics, line \d: this is no YAML/],
    ['a key twice', yaml('- name: a\n  name: b\n'), /line 2: this is no YAML/],
    ['a text', yaml('name: errors\n'), /line 1 holds "name"; this key is not known; known are metrics, interval/],
    ['no list', yaml('metrics: 5\n'), /metrics is missing, or is no list/],
    ['an empty list', yaml('[]'), /expected 1 to 20 metrics, found 0/],
    ['a metric that is a text', yaml('- errors\n'), /line 1: expected a metric/],
    ['an unknown key', yaml(`${one}  treshold: 5\n`), /line 4 holds "treshold"; this key is not known; known are name, query/],
    ['a missing condition', yaml('- name: a\n  query: up\n'), /line 1: successCondition is missing; expected a condition/],
    ['a wrong condition', yaml('- name: a\n  query: up\n  successCondition: result < 5%\n'), /line 3 holds "result < 5%"; successCondition: expected a condition/],
    ['a condition that is a list', yaml('- name: a\n  query: up\n  successCondition: [1]\n'), /line 3: successCondition: expected/],
    ['query and url', yaml(`${one}  url: https://x\n`), /line 1: a metric has either query/],
    ['jsonPointer beside query', yaml(`${one}  jsonPointer: /a\n`), /line 4: jsonPointer belongs to url/],
    ['a wrong pointer', yaml('- name: a\n  url: https://x\n  jsonPointer: a\n  successCondition: result < 1\n'), /line 3 holds "a"; jsonPointer: expected a JSON pointer/],
    ['an unknown placeholder', yaml('- name: a\n  query: up{a="{{ pod }}"}\n  successCondition: result < 1\n'), /line 2: \{\{ pod \}\} is not known/],
    ['a placeholder without quotes', yaml('- name: a\n  query: up{a={{ release }}}\n  successCondition: result < 1\n'), /line 2: \{\{ release \}\} must stand in quotes/],
    ['a number for a duration', yaml(`${one}  interval: 30\n`), /line 4 holds "30"; interval: expected a time/],
    ['a short interval', yaml(`${one}  interval: 10ms\n`), /line 4: interval is shorter than 1s/],
    ['too many samples', yaml(`${one}  count: 1000\n`), /line 1: a metric takes 1 to 500 samples/],
    ['a limit of all samples', yaml(`${one}  failureLimit: 5\n`), /line 4: failureLimit is 5, which allows all of the 5 samples/],
    ['two of one name', yaml(one + one), /line 4: there are two metrics errors/],
    ['a name with a bracket', yaml('- name: <b>\n  query: up\n  successCondition: result < 1\n'), /line 1 holds "<b>"; name: expected/],
    ['an alias', yaml('- name: &a up\n  query: *a\n  successCondition: result < 1\n'), /line 2: query is an alias/],
    ['a deep document', yaml('['.repeat(5000)), /it is nested too deep/],
    ['a bakeFor that is too short', { ...yaml(`${one}  count: 5\n`), bakeFor: '1m' }, /initialDelay \+ interval x count is longer than bakeFor/],
    ['a bakeFor without a sample', { ...yaml(one), bakeFor: '10s' }, /these times make it 0/],
    ['a wrong bakeFor', { bakeFor: 'soon' }, /^Input bakeFor holds "soon"; expected a time above zero[^\n]*or 0s\. Nothing was changed\.$/],
    ['a wrong word', { bakeFor: '1m', onInconclusive: 'retry' }, /expected fail or rollback or pass/],
    ['a missing authority', { ...yaml(one), metricsCaFile: 'ca.pem' }, /metricsCaFile holds "ca.pem"; there is no such file/],
    ['a connection for a Service', { ...yaml(one), metricsServer: 'service:a/b:80', metricsConnection: 'x' }, /metricsConnection: a Service is asked with the identity/],
  ]; // prettier-ignore
  for (const [title, given, expected] of cases) {
    it(`${title}: a mistake with its place`, () => {
      const text = mistakes(given);
      assert.match(text, expected);
      assert.doesNotMatch(text, /hunter22/);
    });
  }

  it('every mistake of a file is told, with the name of the file', () => {
    const text = mistakes({ ...server, metrics: 'm.yaml' }, { 'm.yaml': '- name: a\n  quer: up\n  count: x\n' });
    assert.match(text, /metrics \(m\.yaml\), line 2 holds "quer"/);
    assert.match(text, /line 3 holds "x"; count: expected a whole number/);
  });

  it('a check has nothing to roll back, and no value from before', () => {
    assert.match(mistakes({ bakeFor: '1m', onInconclusive: 'rollback' }, {}, true), /expected fail or pass/);
    const text = '- name: a\n  query: up\n  successCondition: result < before\n';
    assert.match(mistakes(yaml(text), {}, true), /compares with the value before the deploy/);
  });
});
