import assert from 'node:assert/strict';
import { repository } from '../../scripts/build';
import { checkContext, packageExtension } from '../../scripts/package';
import { packageProblems, partsProblems } from '../../scripts/package/check';
import type { CheckContext } from '../../scripts/package/packageUnderCheck';
import { readVsix, writeVsix } from '../../scripts/package/vsix';

const folder = 'HelmSafeDeploy/HelmSafeDeployV1';
const taskJson = `${folder}/task.json`;

type Parts = Map<string, Uint8Array>;
type Break = (parts: Parts) => void;

function text(parts: Parts, name: string): string {
  return new TextDecoder().decode(parts.get(name));
}

function file(name: string, content: string | Uint8Array): Break {
  return (parts) => {
    parts.set(name, typeof content === 'string' ? new TextEncoder().encode(content) : content);
  };
}

function copyOf(from: string, to: string): Break {
  return (parts) => {
    parts.set(to, parts.get(from) ?? new Uint8Array());
  };
}

function without(name: string): Break {
  return (parts) => {
    assert.ok(parts.delete(name), `${name} has to be in the package`);
  };
}

function withoutTasks(): Break {
  return (parts) => {
    for (const name of [...parts.keys()]) if (name.endsWith('/task.json')) parts.delete(name);
  };
}

/** Sets the value at a JSON pointer. `-` is the place after the end of a list, and undefined removes the value. */
function set(name: string, pointer: string, value: unknown): Break {
  return (parts) => {
    const whole = JSON.parse(text(parts, name)) as Record<string, unknown>;
    const keys = pointer.split('/').slice(1);
    const last = keys.pop() ?? '';
    const parent = keys.reduce((at, key) => at[key] as Record<string, unknown>, whole);
    if (Array.isArray(parent))
      parent.splice(last === '-' ? parent.length : Number(last), 1, ...(value === undefined ? [] : [value]));
    else parent[last] = value;
    file(name, JSON.stringify(whole))(parts);
  };
}

function task(pointer: string, value: unknown): Break {
  return set(taskJson, pointer, value);
}

function manifest(from: string | RegExp, to: string): Break {
  return (parts) => {
    const before = text(parts, 'extension.vsixmanifest');
    const after = before.replace(from, to);
    assert.notEqual(after, before, 'the test has to change the manifest');
    file('extension.vsixmanifest', after)(parts);
  };
}

/** A second task in the package: a copy of the first under another name. */
function secondTask(): Break {
  return (parts) => {
    for (const [name, content] of [...parts]) {
      if (name.startsWith(folder)) parts.set(name.replaceAll('HelmSafeDeploy', 'SecondTask'), content);
    }
    set('SecondTask/SecondTaskV1/task.json', '/name', 'SecondTask')(parts);
  };
}

/** Bytes that do not compress. They are the same in each run. */
function noise(length: number): Uint8Array {
  let state = 1;
  return Uint8Array.from({ length }, () => (state = (state * 48271) % 2147483647) & 0xff);
}

const long = (length: number) => 'x'.repeat(length);
const handlers = (target: string) => ({ Node20_1: { target }, Node24: { target } });
const input = { name: 'releaseName', type: 'string', label: 'Release', helpMarkDown: 'Its name.' };
const links = 'Microsoft.VisualStudio.Services.Links';

const incidents: readonly [title: string, breakIt: Break, problem: RegExp][] = [
  ['task.json is not JSON', file(taskJson, '{'), /task\.json: is not a JSON object/],
  ['there is no task at all', withoutTasks(), /holds no task/],
  [
    'the folder is not named after task and major',
    task('/version/Major', 2),
    /ask for the folder HelmSafeDeploy\/HelmSafeDeployV2/,
  ],
  [
    'the GUID is not the one that was fixed',
    task('/id', '11111111-2222-4333-8444-555555555555'),
    /is fixed for HelmSafeDeploy/,
  ],
  ['two tasks share a GUID', secondTask(), /is also that of HelmSafeDeploy/],
  ['the version is not that of the extension', task('/version/Patch', 99), /version is .*99.*; extension .* asks for/],
  ['friendlyName has 41 characters', task('/friendlyName', long(41)), /friendlyName has 41 characters; at most 40/],
  ['friendlyName is missing', task('/friendlyName', undefined), /friendlyName is missing/],
  [
    'the description has 201 characters',
    task('/description', long(201)),
    /: description has 201 characters; at most 200/,
  ],
  ['instanceNameFormat is missing', task('/instanceNameFormat', undefined), /instanceNameFormat is missing/],
  ['there is no execution', task('/execution', undefined), /execution is missing/],
  [
    'a handler is misspelled',
    task('/execution', { Node20: { target: 'index.js' }, Node24: { target: 'index.js' } }),
    /execution has the handlers Node20, Node24/,
  ],
  [
    'post-job lacks a handler',
    task('/postjobexecution', { Node24: { target: 'index.js' } }),
    /postjobexecution has the handlers Node24 instead/,
  ],
  [
    'the target of a handler is missing',
    without(`${folder}/index.js`),
    /execution\.Node24: its target index\.js is not in the package/,
  ],
  [
    'the post-job target is missing',
    task('/postjobexecution', handlers('gone.js')),
    /postjobexecution\.Node20_1: its target gone\.js/,
  ],
  [
    'an old Node cannot read the entry',
    file(`${folder}/index.js`, 'const a = () => 1;'),
    /index\.js is no ECMAScript 5/,
  ],
  ['minimumAgentVersion is missing', task('/minimumAgentVersion', undefined), /minimumAgentVersion is missing/],
  ['minimumAgentVersion is too old', task('/minimumAgentVersion', '3.225.0'), /3\.225\.0 is below/],
  [
    'an output may not be set',
    task('/restrictions/settableVariables/allowed/0', undefined),
    /settableVariables\.allowed is/,
  ],
  [
    'a variable that is no output may be set',
    task('/restrictions/settableVariables/allowed/-', 'PATH'),
    /settableVariables\.allowed is .*PATH/,
  ],
  ['every variable may be set', task('/restrictions', undefined), /settableVariables\.allowed is everything/],
  [
    'restricted commands forbid attachments',
    task('/restrictions/commands', { mode: 'restricted' }),
    /mode restricted forbids/,
  ],
  ['an output is not described', task('/outputVariables/0/description', undefined), /has no description/],
  [
    'an input is there twice in other capitals',
    task('/inputs/-', { ...input, name: 'RELEASENAME' }),
    /input RELEASENAME is there twice/,
  ],
  ['an input has an alias', task('/inputs/0/aliases', ['other']), /has aliases/],
  ['an input has no help', task('/inputs/0/helpMarkDown', undefined), /has no helpMarkDown/],
  ['an input is in no known group', task('/inputs/0/groupName', 'nowhere'), /its group nowhere is not defined/],
  [
    'a visibleRule asks for nothing',
    task('/inputs/0/visibleRule', 'mispelled = yes'),
    /asks for mispelled, which is no input/,
  ],
  [
    'the default is no option',
    task('/inputs/-', { ...input, options: { a: 'A' }, defaultValue: 'b' }),
    /its default b is none of its options/,
  ],
  [
    'the code does not read an input',
    task('/inputs/-', { ...input, name: 'forgotten' }),
    /input forgotten of task\.json is not read by the code/,
  ],
  [
    'the code has another default',
    task('/inputs/0/defaultValue', 'none'),
    /is "none" by default, but ".*" in the code/,
  ],
  [
    'the code reads an input that is not declared',
    task('/inputs/0', undefined),
    /that the code reads is not in task\.json/,
  ],
  ['nobody knows what the code reads', secondTask(), /nothing is known about the inputs/],
  [
    'the icon of the task has another size',
    copyOf('images/extension-icon.png', `${folder}/icon.png`),
    /icon\.png is not a PNG of 32x32/,
  ],
  [
    'the icon is no PNG',
    file(`${folder}/icon.png`, 'GIF89a, and then what a GIF goes on with'),
    /icon\.png is not a PNG/,
  ],
  ['the notices are missing', without(`${folder}/ThirdPartyNotices.md`), /ThirdPartyNotices\.md is missing/],
  [
    'the guard is missing that the bundle starts',
    (parts) => {
      file(`${folder}/main.js`, 'exports.index = () => start("guard.js");')(parts);
      parts.delete(`${folder}/guard.js`);
    },
    /HelmSafeDeployV1: guard\.js, which its bundle starts, is missing/,
  ],
  [
    'a guard is there that nothing starts',
    (parts) => {
      file(`${folder}/main.js`, 'exports.index = () => undefined;')(parts);
      file(`${folder}/guard.js`, '')(parts);
    },
    /guard\.js is there, but its bundle does not start it/,
  ],
  [
    'the guard needs a package',
    file(`${folder}/guard.js`, 'require("node:fs");require("azure-pipelines-task-lib");'),
    /guard\.js needs azure-pipelines-task-lib; it may need nothing but Node\n?$/m,
  ],
  ['the guard is large', file(`${folder}/guard.js`, long(16_001)), /guard\.js has 16001 characters; at most 16000/],
  [
    'the library for Azure is missing that the bundle loads',
    without(`${folder}/azure.js`),
    /azure\.js, which its bundle uses, is missing/,
  ],
  [
    'the library for Azure is large',
    file(`${folder}/azure.js`, long(300_001)),
    /azure\.js has 300001 bytes; at most 300000 are allowed/,
  ],
  [
    'a credential plug-in is there that nothing uses',
    file(`${folder}/main.js`, 'exports.index = () => "guard.js azure.js";'),
    /credential\.js is there, but its bundle does not use it/,
  ],
  ['the manifest is missing', without('extension.vsixmanifest'), /extension\.vsixmanifest is missing/],
  ['the bill of materials is missing', without('sbom.cdx.json'), /sbom\.cdx\.json is missing/],
  [
    'a package of the bundles is not in the bill of materials',
    set('sbom.cdx.json', '/components', []),
    /sbom\.cdx\.json: js-yaml \S+ is missing/,
  ],
  [
    'the bill of materials has a package that is in no bundle',
    set('sbom.cdx.json', '/components/0/name', 'left-pad'),
    /left-pad \S+ is in no ThirdPartyNotices\.md/,
  ],
  [
    'a package has a licence that is not in the list',
    set('sbom.cdx.json', '/components/0/licenses/0/expression', 'GPL-3.0-only'),
    /the licence «GPL-3\.0-only» of \S+ is not in the list/,
  ],
  ['the extension has another id', manifest(' Id="helm-safe-deploy"', ' Id="other"'), /its id is not helm-safe-deploy/],
  [
    'the extension has another version than package.json',
    manifest(/ Version="\d+\.\d+\.\d+"\/>/, ' Version="9.9.9"/>'),
    /its version is 9\.9\.9/,
  ],
  [
    'the description of the extension has 201 characters',
    manifest(/(<Description[^>]*>)[^<]*/, `$1${long(201)}`),
    /extension: description has 201 characters/,
  ],
  ['the extension has no name', manifest(/<DisplayName>[^<]*/, '<DisplayName>'), /extension: name is missing/],
  [
    'the extension is in another category',
    manifest('<Categories>Azure Pipelines', '<Categories>Build and release'),
    /its category is not Azure Pipelines/,
  ],
  ['the page of the extension is missing', without('overview.md'), /overview\.md is missing/],
  [
    'the extension names no licence',
    manifest(/<Asset Type="[^"]*Content\.License"[^>]*>/, ''),
    /it has no Content\.License/,
  ],
  [
    'the icon of the extension has another size',
    copyOf(`${folder}/icon.png`, 'images/extension-icon.png'),
    /its icon is not a PNG of 128x128/,
  ],
  [
    'the page links to a file that is not there',
    file('overview.md', '[more](docs/more.md)'),
    /overview\.md: its link docs\/more\.md leads to nothing/,
  ],
  [
    'the page links to a machine',
    file('overview.md', '[more](http://localhost/more)'),
    /its link http:\/\/localhost\/more leads to nothing/,
  ],
  [
    'a link of the extension is not https',
    manifest(
      '</Metadata>',
      `<Properties><Property Id="${links}.Support" Value="http://example.com"/></Properties></Metadata>`,
    ),
    /its link http:\/\/example\.com is not https/,
  ],
  [
    'a contribution has no task',
    set('extension.vsomanifest', '/contributions/-', {
      type: 'ms.vss-distributed-task.task',
      properties: { name: 'Ghost' },
    }),
    /the contribution Ghost has no task\.json/,
  ],
  [
    'a task has no contribution',
    set('extension.vsomanifest', '/contributions', []),
    /no contribution names the task in HelmSafeDeploy/,
  ],
  [
    'a task is contributed twice',
    set('extension.vsomanifest', '/contributions/-', {
      type: 'ms.vss-distributed-task.task',
      properties: { name: 'HelmSafeDeploy' },
    }),
    /HelmSafeDeploy is contributed twice/,
  ],
  [
    'there is no results tab',
    set('extension.vsomanifest', '/contributions/3', undefined),
    /it has 0 results tabs instead of one/,
  ],
  [
    'the results tab is not shown for all tasks',
    set('extension.vsomanifest', '/contributions/3/properties/supportsTasks/0', undefined),
    /for other tasks than those of the extension/,
  ],
  [
    'the results tab has another page',
    set('extension.vsomanifest', '/contributions/3/properties/uri', 'tab/other.html'),
    /has the page tab\/other\.html/,
  ],
  [
    'the results tab is shown elsewhere',
    set('extension.vsomanifest', '/contributions/3/targets', ['ms.vss-web.project-hub']),
    /is not shown with the results of a run/,
  ],
  ['the results tab may not read runs', set('extension.vsomanifest', '/scopes', []), /needs the scope vso\.build/],
  [
    'a browser cannot load the script of the results tab',
    manifest(/(Path="tab\/tab\.js") Addressable="true"/, '$1'),
    /tab\/tab\.js: a browser cannot load it/,
  ],
  ['the page of the results tab is missing', without('tab/index.html'), /tab\/index\.html is missing/],
  [
    'the page of the results tab loads a script from elsewhere',
    file('tab/index.html', '<script src="https://example.com/x.js"></script>'),
    /loads https:\/\/example\.com\/x\.js/,
  ],
  [
    'the page of the results tab holds a script',
    file('tab/index.html', '<script>alert(1)</script>'),
    /holds a script or a style of its own/,
  ],
  [
    'the results tab makes markup of text',
    file('tab/tab.js', 'document.body.innerHTML = location.hash'),
    /tab\/tab\.js: uses \.innerHTML/,
  ],
  ['the results tab is too large', file('tab/tab.js', long(120_001)), /its files have \d+ bytes; the budget is 120000/],
  [
    'the extension asks for a scope',
    set('extension.vsomanifest', '/scopes', ['vso.build_execute']),
    /asks for the scope vso\.build_execute/,
  ],
  ['a file has no extension', file('LICENSE', 'MIT'), /^LICENSE: files of this type/m],
  ['a file is of a type that nobody knows', file(`${folder}/values.yaml`, 'a: 1'), /values\.yaml: files of this type/],
  ['a source map is packaged', file(`${folder}/main.js.map`, '{}'), /main\.js\.map: files of this type/],
  ['a name has a blank', file('read me.md', '#'), /read me\.md: its name has characters/],
  [
    'a bundle holds a path of the machine that built it',
    file(`${folder}/main.js`, `require("${repository}/x.js")`),
    /main\.js: holds the path/,
  ],
];

describe('the package check refuses a package in which', () => {
  let vsix: Uint8Array;
  let context: CheckContext;

  before(async () => {
    [vsix, context] = await Promise.all([packageExtension(repository), checkContext(repository)]);
    assert.deepEqual(packageProblems(vsix, context), [], 'the package as it is has no problem');
  });

  for (const [title, breakIt, problem] of incidents) {
    it(title, () => {
      const parts = readVsix(vsix);
      breakIt(parts);
      assert.match(partsProblems(parts, context).join('\n'), problem);
    });
  }

  it('files are larger than the budget', async () => {
    const parts = readVsix(vsix);
    file(`${folder}/big.js`, noise(1_500_000))(parts);
    assert.match(packageProblems(await writeVsix(parts), context).join('\n'), /the budget is \d+/);
  });

  it('task.json does not match its schema', () => {
    const taskSchema = { type: 'object', properties: { author: { type: 'number' } } };
    assert.match(
      packageProblems(vsix, { ...context, taskSchema }).join('\n'),
      /does not fit its schema: \/author must be number/,
    );
  });
});
