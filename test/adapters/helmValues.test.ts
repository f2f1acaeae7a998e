import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import fc from 'fast-check';
import { helmPrograms } from '../../scripts/cluster/pins';
import { programPath } from '../../scripts/cluster/programs';
import { inputArguments } from '../../tasks/common/core/inputs/commandLine';
import { inputReader } from '../../tasks/common/core/inputs/inputs';
import { redactor, secretFinder } from '../../tasks/common/core/text/secrets';
import { planValues, privateValuesText, type SetLines } from '../../tasks/common/core/inputs/setValues';
import { checkValuesFile } from '../../tasks/common/core/inputs/valuesFile';

/** Prints the values with their Go types, so that 5 and "5", or 5 and 5.0, differ. */
const template = `
{{- define "typed" -}}
{{- if kindIs "map" . }}{ {{- range $k, $v := . }}{{ $k | toJson }}:{{ template "typed" $v }},{{ end }} }
{{- else if kindIs "slice" . }}[{{ range . }}{{ template "typed" . }},{{ end }}]
{{- else }}{{ kindOf . }} {{ toJson . }}{{ end }}
{{- end -}}
typed: {{ include "typed" (omit .Values "global") | toJson }}
`;

const secret = 's3cr3t';
const runs = Number(process.env['HELM_VALUES_RUNS'] ?? 15);

const helms = helmPrograms.map((program) => ({ version: program.version, file: programPath(program) }));

describe('values as the real Helm reads them', function () {
  this.timeout(120_000 + runs * 500);
  let folder = '';

  before(() => {
    folder = mkdtempSync(path.join(tmpdir(), 'helm-values-'));
    write('chart/Chart.yaml', 'apiVersion: v2\nname: chart\nversion: 1.0.0\n');
    write('chart/values.yaml', 'fromChart: {a: 1, b: text}\na: {default: yes}\n');
    write('chart/templates/values.yaml', template);
    write('plain/Chart.yaml', 'apiVersion: v2\nname: plain\nversion: 1.0.0\n');
    // Helm reads the rendered text as YAML, and JSON with certain texts is no YAML.
    write('plain/templates/values.yaml', 'values: {{ omit .Values "global" | toJson | b64enc }}\n');
    write('given.yaml', 'fromFile: true\nb: {c: {d: file}}\nl: [1, 2]\n');
    write('plain.txt', 'content of a file');
  });
  after(() => {
    rmSync(folder, { recursive: true, force: true });
  });

  function write(name: string, text: string): string {
    const file = path.join(folder, name);
    mkdirSync(path.dirname(file), { recursive: true });
    writeFileSync(file, text);
    return file;
  }

  /** The values that the chart sees, or undefined where Helm refuses them. */
  function rendered(helm: string, flags: readonly string[], chart = './chart'): string | undefined {
    const { status, stdout } = spawnSync(helm, ['template', 'r', chart, ...flags], {
      cwd: folder,
      encoding: 'utf8',
    });
    return status === 0 ? stdout : undefined;
  }

  /** The flags that our plan gives, after its private files were written. */
  function planned(lines: SetLines, secrets = [secret], valueFiles = ['given.yaml']): string[] | undefined {
    const { values, mistakes } = planValues(lines, secretFinder(secrets), {
      kind: (file) => (existsSync(path.resolve(folder, file)) ? 'file' : 'missing'),
      isAddress: () => false,
    });
    const refusals = mistakes.map(({ holds, problem }) => `${holds ?? ''} ${problem}`).join();
    assert.ok(!secrets.some((each) => each.length > 5 && refusals.includes(each)), refusals);
    if (mistakes.length > 0) return undefined;
    const shown = values.argv.join(' ');
    assert.ok(!secrets.some((each) => each.trim().length > 2 && shown.includes(each)), shown);
    const texts = values.privateTexts.map(({ text }, index) => write(`private,${index}.txt`, text));
    const file = values.privateValues && write('private.yaml', privateValuesText(values.privateValues));
    const prepared = { valueFiles: [], values: file === undefined ? { texts } : { values: file, texts } };
    return inputArguments({ valueFiles, values, extraArguments: [] }, prepared, folder).map(({ text }) => text);
  }

  const name = fc.constantFrom(
    'a',
    'b',
    'c',
    'd',
    'x\\.y',
    'a.b',
    'b.c.d',
    'l[0]',
    'l[1]',
    'm[0].n',
    'm[0].k',
    'm[1].n',
    'n[0][1]',
    secret,
  );
  const scalar = fc.oneof(
    fc.constantFrom('1', '0', '007', '-3', 'true', 'False', 'null', '', '1e6', '1000000', 'x y', 'a\\,b', 'é😀', '=', '"q"', "'", ': #', '- x'),
    fc.constant(secret),
    fc.constantFrom(`${secret}-x`, `x: ${secret}`, `{${secret}`, `${secret}\u0085\u007f`, `"${secret}\\\\"`, `${secret}\\,1`),
  ); // prettier-ignore
  const value = fc.oneof(
    { weight: 5, arbitrary: scalar },
    fc.array(scalar, { maxLength: 3 }).map((all) => `{${all.join(',')}}`),
  );
  const line = fc
    .array(
      fc.tuple(name, value).map(([key, text]) => `${key}=${text}`),
      { minLength: 1, maxLength: 3 },
    )
    .map((all) => all.join(','));
  const lines = fc.array(line, { maxLength: 4 });

  for (const helm of helms) {
    it(`Helm ${helm.version}: values have the same types and contents as from the command line`, function () {
      if (!existsSync(helm.file)) this.skip();
      let compared = 0;
      fc.assert(
        fc.property(lines, lines, fc.boolean(), (set, setString, withFile) => {
          const setFile = withFile ? ['a.file=plain.txt'] : [];
          const ours = planned({
            set: numbered('set', set),
            setString: numbered('setString', setString),
            setFile: numbered('setFile', setFile),
            setLiteral: [],
          });
          if (ours === undefined || ours.every((flag) => !flag.includes('private'))) return;
          const direct = rendered(helm.file, [
            '--values', 'given.yaml',
            ...set.flatMap((each) => ['--set', each]),
            ...setString.flatMap((each) => ['--set-string', each]),
            ...setFile.flatMap((each) => ['--set-file', each]),
          ]); // prettier-ignore
          // We may accept values that Helm refuses on the command line.
          if (direct === undefined) return;
          compared += 1;
          assert.equal(rendered(helm.file, ours), direct, JSON.stringify({ set, setString, ours }));
        }),
        { numRuns: runs * 4, seed: Number(process.env['HELM_VALUES_SEED'] ?? 1) },
      );
      assert.ok(compared >= runs / 5, `only ${compared} compared`);
    });

    it(`Helm ${helm.version}: a secret arrives unchanged, byte for byte, or is refused`, function () {
      if (!existsSync(helm.file)) this.skip();
      let arrived = 0;
      fc.assert(
        fc.property(fc.array(placed, { minLength: 6, maxLength: 8 }), (all) => {
          const taken = all.filter((each) => planned(linesOf([each]), [each.secret], []) !== undefined);
          const secrets = taken.map((each) => each.secret);
          const flags = planned(linesOf(taken), secrets, []);
          if (flags === undefined) return;
          arrived += taken.length;
          const shown = rendered(helm.file, flags, './plain');
          const encoded = /^values: (.*)$/m.exec(shown ?? '')?.[1] ?? '';
          const values = Buffer.from(encoded, 'base64').toString('utf8') || 'nothing was rendered';
          const expected = taken.map(({ place, secret: given }, index) => [`k${index}`, place.value(given)] as const);
          assert.deepEqual(JSON.parse(values), Object.fromEntries(expected), JSON.stringify({ secrets, flags }));
        }),
        { numRuns: runs, seed: Number(process.env['HELM_VALUES_SEED'] ?? 1) },
      );
      assert.ok(arrived >= runs * 3, `only ${arrived} arrived`);
    });

    it(`Helm ${helm.version}: refuses whatever we call invalid YAML, and we pass whatever it accepts`, function () {
      if (!existsSync(helm.file)) this.skip();
      for (const text of yamlTexts) {
        const file = write('tried.yaml', text);
        const refuses = rendered(helm.file, ['--values', file]) === undefined;
        const { problem } = checkValuesFile(text);
        if (problem !== undefined) assert.ok(refuses, `${JSON.stringify(text)}: ${problem}`);
      }
    });
  }
});

const special = Array.from('\\,={}[].\'"$`#%&*!|>@:;-+0x~?<()^/ \n');

/** All typable characters, with many that mean something to Helm, YAML, Go's templates or a shell. */
const anySecret = fc
  .array(
    fc.oneof(
      {
        weight: 3,
        arbitrary: fc.oneof(
          fc.constantFrom('\\', '\r\n', '\t', '{{', '}}', '$(', 'null', '\u0085'),
          fc.constantFrom(...special),
        ),
      },
      { weight: 3, arbitrary: fc.string({ unit: 'grapheme-ascii', minLength: 1, maxLength: 4 }) },
      { weight: 1, arbitrary: fc.string({ unit: 'grapheme', minLength: 1, maxLength: 3 }) },
    ),
    { minLength: 1, maxLength: 12 },
  )
  .map((parts) => parts.join(''))
  // The agent knows no variable of blanks alone.
  .filter((text) => text.trim() !== '');

interface Place {
  input: SetInput;
  text: (secret: string, key: string) => string;
  /** The value that the chart should see under the key. */
  value: (secret: string) => unknown;
}

const places: readonly Place[] = [
  { input: 'set', text: (s, k) => `${k}=${s}`, value: (s) => typed(s) },
  { input: 'set', text: (s, k) => `${k}.beta=<${s}>,${k}.gamma=1`, value: (s) => ({ beta: `<${s}>`, gamma: 1 }) },
  { input: 'set', text: (s, k) => `${k}.a=ok\n${k}.b=a\\,${s}\n${k}.c=ok`, value: (s) => ({ a: 'ok', b: `a,${s}`, c: 'ok' }) },
  { input: 'set', text: (s, k) => `${k}={one,<${s}>,two}`, value: (s) => ['one', `<${s}>`, 'two'] },
  { input: 'set', text: (s, k) => `${k}[0].beta=<${s}>`, value: (s) => [{ beta: `<${s}>` }] },
  { input: 'set', text: (s, k) => `${k}.k${s}k.beta=x`, value: (s) => ({ [`k${s}k`]: { beta: 'x' } }) },
  { input: 'set', text: (s, k) => `${k}=before\n${k}=<${s}>`, value: (s) => `<${s}>` },
  { input: 'setString', text: (s, k) => `${k}.a=${s}\n${k}.b=x`, value: (s) => ({ a: s, b: 'x' }) },
  { input: 'setString', text: (s, k) => `${k}.b=y,${k}.a=${s}`, value: (s) => ({ b: 'y', a: s }) },
  { input: 'setLiteral', text: (s, k) => `${k}=${s}`, value: (s) => s },
  { input: 'setLiteral', text: (s, k) => `${k}[0].b=<${s}>\n${k}[1]=,`, value: (s) => [{ b: `<${s}>` }, ','] },
]; // prettier-ignore

const placed = fc
  .record({ secret: anySecret, place: fc.constantFrom(...places) })
  // One that is too short to be looked for inside other text counts as a whole value only.
  .filter(({ secret: given, place }) => given.trim().length > 2 || /=S(\n|$)/.test(place.text('S', 'k')));

/** The lines as the task reads them from its inputs. */
function linesOf(all: readonly { secret: string; place: Place }[]): SetLines {
  const secrets = all.map((each) => each.secret);
  const textOf = (input: string): string =>
    all
      .flatMap(({ place, secret: given }, index) => (place.input === input ? [place.text(given, `k${index}`)] : []))
      .join('\n');
  const context = { secrets: secretFinder(secrets), redact: redactor(secrets) };
  const read = inputReader({ set: '', setString: '', setLiteral: '' }, textOf, context);
  const [set, setString, setLiteral] = [read.setLines('set'), read.setLines('setString'), read.setLines('setLiteral')];
  return { set, setString, setFile: [], setLiteral };
}

type SetInput = keyof SetLines;

/** In `set`, booleans and whole numbers that stay on the command line keep their type. */
function typed(text: string): unknown {
  if (/^(true|false)$/i.test(text)) return /^t/i.test(text);
  return /^(0|[1-9]|[+-]\d|[1-9]\d)$/.test(text) ? Number(text) : text;
}

const yamlTexts = [
  '', '# nothing\n', '---\n', 'null\n', '{}', 'a: 1\n', 'a: 1\na: 2\n', 'a: &x {b: 1}\nc: {<<: *x}\n', 'a: *unknown\n', '- a\n', 'text\n', '5\n',
  'a: [1,\n', 'a: {b: 1\n', 'a: "x\n', 'a:\n\t- b\n', '\ta: 1\n', 'a: b: c\n', 'a: 1\n b: 2\n', 'a: @x\n', 'a: `x`\n', 'a: %x\n', 'a: !custom x\n',
  'a: |\n  text\n  more\nb: >-\n  x\n', 'a: 1\n---\nb: 2\n', 'a: 1\n---\n- b\n', '\ufeffa: 1\n', 'a: yes\nb: 010\nc: 1_000\nd: 2020-01-01\n', '? a\n: b\n', '? [a]\n: b\n',
  '1: a\ntrue: b\n', 'a: "\\q"\n', "a: 'it''s'\n", 'a: {{ .x }}\n', 'a: "{{ .x }}"\n', 'a:b\n', 'a: - b\n', 'a: x #c\nb: x#c\n', '%YAML 1.2\n---\na: 1\n',
  'a:\n- b\n- c\n', 'a:\n  - b\n c: d\n', 'key with spaces: 1\n', '"a": 1\n', '{"a": 1, "b": [1, 2,]}\n', 'a: 1\r\nb: 2\r\n', 'a: !!binary aGVsbG8=\n', 'a: ~\n', 'a: 0x1F\n',
  'a: ! x\n', 'a: "b" c\n', '...\n', 'a: 1\n...\n', '<<: {a: 1}\n', 'a: [b, c: d]\n', 'a: ,\n', 'a: ]\n', 'a: \u0001\n', 'a: "x\n  y"\n', 'a: x\n  y\n',
]; // prettier-ignore

function numbered(input: string, texts: readonly string[]) {
  return texts.map((text, index) => ({ input, text, number: index + 1 }));
}
