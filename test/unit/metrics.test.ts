import assert from 'node:assert/strict';
import fc from 'fast-check';
import { jsonReading, prometheusReading, type Reading } from '../../tasks/common/core/metrics/answer';
import { holds, parseCondition, type Before, type Value } from '../../tasks/common/core/metrics/condition';
import { judgeAll, judgeMetric, judgeSample, type Sample, type Verdict } from '../../tasks/common/core/metrics/judge';
import { azureMonitorScope, metricsLogin } from '../../tasks/common/core/metrics/login';
import { parseServer, type Metric } from '../../tasks/common/core/metrics/metric';
import { fillAddress, fillQuery } from '../../tasks/common/core/metrics/placeholders';
import { metricsMarkdown, reportedMetric, sparkline } from '../../tasks/common/core/report/metrics';

const condition = (text: string) => parseCondition(text) ?? assert.fail(text);
const metric = (more: Partial<Metric> = {}): Metric => ({
  name: 'errors',
  source: { kind: 'prometheus', query: 'up' },
  condition: condition('result < 0.1'),
  initialDelaySeconds: 0,
  intervalSeconds: 1,
  count: 3,
  failureLimit: 0,
  inconclusiveLimit: 0,
  ...more,
});

describe('the condition of a metric', () => {
  const cases: readonly (readonly [string, Value, Before, boolean | undefined])[] = [
    ['result < 0.01', 0.009, undefined, true],
    ['result < 0.01', 0.01, undefined, false],
    ['result[0] >= 95', 95, undefined, true],
    ['result >= 0.9 && result <= 1.1', 1.2, undefined, false],
    ['result >= 0.9 && result <= 1.1', 1, undefined, true],
    ['result <= before * 1.2', 12, 10, true],
    ['result <= before * 1.2', 12.1, 10, false],
    ['result <= before + 0.01', 0.02, 0, false],
    ['result <= before * 2 - 1', 3, 2, true],
    ['result <= before', 3, undefined, undefined],
    ['result <= before && result < 1', 3, undefined, false],
    ['result <= before && result < 5', 3, undefined, undefined],
    ['result <= before', 3, null, true],
    ['result == "UP"', 'UP', undefined, true],
    ["result == 'UP'", 'DOWN', undefined, false],
    ['result != "DOWN"', 'UP', undefined, true],
    ['result == true', 'true', undefined, true],
    ['result < 5', '3', undefined, true],
    ['result < 5', 'many', undefined, undefined],
    ['result < 5', '', undefined, undefined],
    ['result == 1e3', 1000, undefined, true],
    ['result > -.5', 0, undefined, true],
  ];
  for (const [text, value, before, expected] of cases) {
    it(`${text} for ${String(value)}, before ${String(before)}: ${String(expected)}`, () => {
      assert.equal(holds(condition(text), value, before), expected);
    });
  }

  for (const text of [
    '',
    'result',
    'result < ',
    'result < 5%',
    'result = 5',
    'value < 5',
    'result < 5 || result > 7',
    'result < "a"',
    'result < before / 2',
    'result < 5 &&',
    `result < ${'1'.repeat(600)}`,
  ]) {
    it(`«${text.slice(0, 30)}» is none`, () => {
      assert.equal(parseCondition(text), undefined);
    });
  }
});

describe('the placeholders of a query', () => {
  const values = { release: 'shop.v1', namespace: 'a"b\\c', revision: '7', interval: '1m30s' };
  const cases: readonly (readonly [string, string, string, readonly string[]])[] = [
    ['a label', 'up{release="{{release}}"}', 'up{release="shop.v1"}', []],
    ['a regular expression', 'up{release=~"{{ release }}-.*"}', String.raw`up{release=~"shop\\.v1-.*"}`, []],
    ['a negated one', "up{release!~'{{ release }}'}", String.raw`up{release!~'shop\\.v1'}`, []],
    ['a raw literal', 'up{release=~`{{release}}`}', 'up{release=~`shop\\.v1`}', []],
    ['a value with quotes', 'up{ns="{{namespace}}"}', String.raw`up{ns="a\"b\\c"}`, []],
    ['a window', 'rate(x{revision="{{revision}}"}[{{interval}}])', 'rate(x{revision="7"}[1m30s])', []],
    ['after an escaped quote', String.raw`x{a="\"",b="{{release}}"}`, String.raw`x{a="\"",b="shop.v1"}`, []],
    ['no quotes', 'up{release={{release}}}', 'up{release=shop.v1}', ['{{ release }} must stand in quotes']],
    ['an unknown name', 'x{{y}}', 'x', ['{{ y }} is not known; known are release, namespace, revision, interval']],
    ['a comment with a quote', `up # don't\n{a="{{release}}"}`, `up # don't\n{a="shop.v1"}`, []],
    ['none', 'x{a="b"} > 0', 'x{a="b"} > 0', []],
  ];
  for (const [title, query, text, problems] of cases) {
    it(title, () => {
      assert.deepEqual(fillQuery(query, values), { text, problems });
    });
  }

  it('in an address are encoded', () => {
    const filled = fillAddress('https://x/{{namespace}}?r={{ release }}', values);
    assert.deepEqual(filled, { text: 'https://x/a%22b%5Cc?r=shop.v1', problems: [] });
  });

  it('no value leaves its literal, whatever it holds', () => {
    const closes = /^up\{a="(?:[^"\\]|\\.)*"\}$/s;
    fc.assert(
      fc.property(fc.string(), fc.constantFrom('=', '=~'), (release, operator) => {
        const { text } = fillQuery(`up{a${operator}"{{release}}"}`, { ...values, release });
        assert.match(text.replace('=~', '='), closes);
      }),
    );
  });

  it('a long query is read in time that grows with its length', () => {
    const started = performance.now();
    fillQuery('x=~"{{'.repeat(50_000), values);
    assert.ok(performance.now() - started < 1000);
  });
});

const same = (text: string): string => text;
const vector = (...values: unknown[]): string =>
  JSON.stringify({
    status: 'success',
    data: { resultType: 'vector', result: values.map((value) => ({ metric: {}, value: [1, value] })) },
  });
const told = (reading: Reading): string =>
  'problem' in reading
    ? `${reading.kind}: ${reading.problem}`
    : `${String(reading.value)}${reading.mayPass ? '' : ' (error)'}`;

describe('an answer of Prometheus', () => {
  const cases: readonly (readonly [string, number, string, RegExp])[] = [
    ['one series', 200, vector('0.25'), /^0\.25$/],
    ['a scalar', 200, '{"status":"success","data":{"resultType":"scalar","result":[1,"3"]}}', /^3$/],
    ['no series', 200, vector(), /^noValue: there is no data$/],
    ['two series', 200, vector('1', '2'), /^wrong: the query gives 2 series where one is expected/],
    ['NaN', 200, vector('NaN'), /^noValue: the value is not a number/],
    ['infinity', 200, vector('+Inf'), /^noValue: the value is infinite/],
    ['an empty text', 200, vector(''), /^noValue: the value is not a number/],
    ['a number that is none', 200, vector({}), /^noValue: the value is not a number/],
    ['a matrix', 200, '{"status":"success","data":{"resultType":"matrix","result":[]}}', /^wrong: .* gives matrix/],
    ['a text', 200, '{"status":"success","data":{"resultType":"string","result":[1,"1"]}}', /^wrong: .* gives string/],
    ['no data field', 200, '{"status":"success"}', /^wrong: .* something else/],
    [
      'a parse error',
      400,
      '{"status":"error","errorType":"bad_data","error":"1:3: parse error"}',
      /^wrong: .*parse error/,
    ],
    ['a time-out', 503, '{"status":"error","errorType":"timeout","error":"too long"}', /^unusable: .*too long/],
    ['an error with 200', 200, '{"status":"error","errorType":"internal","error":"x"}', /^unusable: /],
    ['a success with 500', 500, vector('0'), /^unusable: /],
    ['a login page', 200, '<html>', /^unusable: the server answered 200 and does not answer like Prometheus$/],
    ['a redirect', 302, '', /^unusable: .*302 \(the task follows no redirect\)/],
    ['JSON of something else', 200, '{"ok":true}', /^unusable: /],
    ['nothing', 204, '', /^unusable: /],
    ['a deep document', 200, '['.repeat(400_000), /^unusable: /],
  ];
  for (const [title, status, body, expected] of cases) {
    it(title, () => {
      assert.match(told(prometheusReading({ status, body }, same)), expected);
    });
  }

  it('an error is redacted, neutralised and cut', () => {
    const error = `##vso[task.complete]\u001b[31m hunter2 ${'x'.repeat(5000)}`;
    const body = JSON.stringify({ status: 'error', errorType: 'bad_data', error });
    const reading = told(prometheusReading({ status: 400, body }, (text) => text.replaceAll('hunter2', '***')));
    for (const lost of ['##vso', '\u001b', 'hunter2']) assert.ok(!reading.includes(lost), lost);
    assert.ok(reading.length < 500);
  });
});

describe('an answer in JSON', () => {
  const document = JSON.stringify({ status: 'UP', depth: [{ 'a/b': 7 }], ok: true, none: null, text: 'x'.repeat(999) });
  const cases: readonly (readonly [string, number, string, string, RegExp])[] = [
    ['a text', 200, document, '/status', /^UP$/],
    ['a number in a list', 200, document, '/depth/0/a~1b', /^7$/],
    ['a boolean', 200, document, '/ok', /^true$/],
    ['a long text', 200, document, '/text', /^x{100} \.\.\.$/],
    ['null', 200, document, '/none', /^noValue: there is null at \/none/],
    ['a list', 200, document, '/depth', /^noValue: there is a list or an object/],
    ['nothing there', 200, document, '/x/y', /^noValue: there is nothing at \/x\/y/],
    ['a field that every object has', 200, document, '/constructor', /^noValue: /],
    ['the top', 200, '3', '', /^3$/],
    ['an error with a value', 503, '{"status":"DOWN"}', '/status', /^DOWN \(error\)$/],
    ['an error without one', 503, '{}', '/status', /^unusable: /],
    ['no JSON', 200, 'ok', '', /^unusable: the server answered 200 and does not answer with JSON$/],
  ];
  for (const [title, status, body, pointer, expected] of cases) {
    it(title, () => {
      assert.match(told(jsonReading({ status, body }, pointer, same)), expected);
    });
  }
});

const at = '2026-01-01T00:00:00.000Z';

describe('the verdict about a metric', () => {
  const sampleOf = (mark: string): Sample => {
    const verdict: Verdict = mark === '.' ? 'pass' : mark === 'F' ? 'fail' : 'inconclusive';
    return { at, value: null, verdict, note: '' };
  };
  const cases: readonly (readonly [string, Partial<Metric>, Verdict | undefined])[] = [
    ['', {}, undefined],
    ['..', {}, undefined],
    ['...', {}, 'pass'],
    ['F', {}, 'fail'],
    ['F.', { failureLimit: 1 }, undefined],
    ['F..', { failureLimit: 1 }, 'pass'],
    ['F.F', { failureLimit: 1 }, 'fail'],
    ['?..', {}, 'inconclusive'],
    ['?', {}, undefined],
    ['?..', { inconclusiveLimit: 1 }, 'pass'],
    ['??.', { inconclusiveLimit: 1 }, 'inconclusive'],
    ['?F', { inconclusiveLimit: 1 }, 'fail'],
    ['???', { inconclusiveLimit: 2 }, 'inconclusive'],
    ['???', { inconclusiveLimit: 9 }, 'inconclusive'],
    ['F??', { failureLimit: 9, inconclusiveLimit: 9 }, 'inconclusive'],
  ];
  for (const [marks, more, expected] of cases) {
    it(`«${marks}» with ${JSON.stringify(more)}: ${expected ?? 'open'}`, () => {
      assert.equal(judgeMetric(metric(more), Array.from(marks, sampleOf)), expected);
    });
  }

  for (const [verdicts, expected] of [
    [[], 'pass'],
    [['pass', 'pass'], 'pass'],
    [['pass', undefined], undefined],
    [[undefined, 'fail'], 'fail'],
    [['inconclusive', undefined], undefined],
    [['inconclusive', 'fail'], 'fail'],
    [['inconclusive', 'pass'], 'inconclusive'],
  ] as const) {
    it(`of several, ${JSON.stringify(verdicts)}: ${expected ?? 'open'}`, () => {
      assert.equal(judgeAll(verdicts), expected);
    });
  }

  const reading: fc.Arbitrary<Reading> = fc.oneof(
    fc.record({ value: fc.oneof(fc.double({ noNaN: true }), fc.string()), mayPass: fc.boolean() }),
    fc.record({ kind: fc.constantFrom('noValue', 'wrong', 'unusable'), problem: fc.string() }),
  );

  it('is «pass» only if enough samples have a value that meets the condition, whatever the server answers', () => {
    fc.assert(
      fc.property(
        fc.array(reading, { maxLength: 8 }),
        fc.nat(8),
        fc.nat(8),
        fc.constantFrom<Before>(undefined, null, 1),
        (readings, failureLimit, inconclusiveLimit, before) => {
          const asked = metric({
            condition: condition('result < 0.1 && result < before'),
            count: 8,
            failureLimit,
            inconclusiveLimit,
          });
          const samples = readings.map((each) => judgeSample(asked, each, before, at));
          const verdict = judgeMetric(asked, samples);
          const good = readings.filter((each) => 'value' in each && each.mayPass && Number(each.value) < 0.1);
          const silent = readings.filter((each) => 'problem' in each);
          if (verdict === 'pass') {
            assert.equal(samples.length, 8);
            assert.ok(good.length > 0 && before !== undefined && silent.length <= inconclusiveLimit);
          }
          if (verdict === 'fail') assert.ok(readings.length - silent.length > failureLimit);
          // A later sample never takes a failure back.
          const earlier = samples.map((_, index) => judgeMetric(asked, samples.slice(0, index)));
          if (earlier.includes('fail')) assert.equal(verdict, 'fail');
        },
      ),
    );
  });
});

describe('what is told of a metric', () => {
  const failing = metric({ failureLimit: 1 });
  const samples = [0.02, 0.3, 'x', 0.5].map((value) =>
    judgeSample(
      failing,
      typeof value === 'string' ? { kind: 'noValue', problem: 'there is no data' } : { value, mayPass: true },
      undefined,
      at,
    ),
  );

  it('says how many samples failed, and the last value', () => {
    const { message, verdict, before } = reportedMetric({ metric: failing, query: 'up', before: 3, samples });
    assert.equal(verdict, 'fail');
    assert.equal(before, null);
    assert.equal(
      message,
      'Metric errors failed 2 of 4 samples (1 allowed): the last was 0.5, and the condition is result < 0.1.',
    );
  });

  it('draws a line of text, for the summary page', () => {
    assert.equal(sparkline(samples), '▁▅?█');
    assert.equal(sparkline([]), '');
  });

  it('puts no text of others into the page unescaped', () => {
    const asked = metric({ name: 'a|b', condition: condition('result == "<b>"') });
    const one = judgeSample(asked, { value: '[x](y)', mayPass: true }, undefined, at);
    const page = metricsMarkdown([
      reportedMetric({ metric: asked, query: 'a```b', before: undefined, samples: [one] }),
    ]);
    assert.doesNotMatch(page, /(?<!\\)<b>|(?<!\\)\[x\]/);
    assert.match(page, /a\\\|b/);
    assert.match(page, /````\na```b\n````/);
  });
});

describe('the server of the metrics', () => {
  for (const [text, expected] of [
    ['https://prometheus.example.com/base', { kind: 'address', url: 'https://prometheus.example.com/base' }],
    ['service:monitoring/prometheus:9090', { port: '9090', isSecure: false, path: '' }],
    ['service:monitoring/https:prometheus:web/base', { port: 'web', isSecure: true, path: '/base' }],
    ['https://user:word@x', undefined],
    ['ftp://x', undefined],
    ['service:monitoring/prometheus', undefined],
    ['service:a/b/../../c:80', undefined],
    ['service:A/b:80', undefined],
    ['prometheus:9090', undefined],
  ] as const) {
    it(text, () => {
      const server = parseServer(text);
      if (expected === undefined) assert.equal(server, undefined);
      else assert.deepEqual({ ...server, ...expected }, server);
    });
  }

  const connection = (url: string, fields: Readonly<Record<string, string>>) => ({
    url,
    authorization: (key: string) => fields[key],
  });
  const both = { username: 'u', password: 'p' };
  const server = parseServer('https://p.example/base');
  for (const [title, given, at, expected] of [
    ['a user and a password', connection('https://p.example/', both), server, both],
    ['a bearer token', connection('https://p.example', { password: 't' }), server, { token: 't' }],
    ['an address alone', connection('http://p.example', {}), undefined, {}],
    ['another server', connection('https://q.example', both), server, /is for https:\/\/q\.example/],
    ['no encryption', connection('http://p.example', both), undefined, /without encryption/],
    ['no address', connection('p.example', both), server, /no http/],
  ] as const) {
    it(`a connection with ${title}`, () => {
      const login = metricsLogin(given, at);
      if (expected instanceof RegExp) assert.match('problem' in login ? login.problem : '', expected);
      else assert.deepEqual('user' in login && login.user, expected);
    });
  }

  for (const [url, scope] of [
    ['https://w-ab.westeurope.prometheus.monitor.azure.com', 'https://prometheus.monitor.azure.com/.default'],
    ['http://w.westeurope.prometheus.monitor.azure.com', undefined],
    ['https://w.prometheus.monitor.azure.com.evil.example', undefined],
    ['https://evil.example/.prometheus.monitor.azure.com', undefined],
  ] as const) {
    it(`a token of Azure Monitor for ${url}: ${scope === undefined ? 'no' : 'yes'}`, () => {
      assert.equal(azureMonitorScope(parseServer(url)), scope);
    });
  }
});
