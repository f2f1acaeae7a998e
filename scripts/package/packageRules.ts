import path from 'node:path';
import { parsed, pngSize } from './packageUnderCheck';
import type { CheckContext, PackagedTask } from './packageUnderCheck';
import { tabProblems, tabScope } from './tabRules';
import { lengthProblem } from './taskRules';
import { partText } from './vsix';
import type { Parts } from './vsix';

/** The size budget of the package, 1.1 MB. Agents download a task for each job, and on-premises servers refuse 25 MB. */
export const mostBytes = 1_100_000;

/** File types that a package may contain. For these tfx does not depend on the machine. */
const knownTypes = ['.js', '.json', '.md', '.png', '.html', '.css', '.vsixmanifest', '.vsomanifest'];

export function sizeProblems(bytes: number): string[] {
  return bytes <= mostBytes ? [] : [`the package has ${String(bytes)} bytes; the budget is ${String(mostBytes)}`];
}

/** Problems of the extension manifest and of the files that it names. */
export function extensionProblems(tasks: readonly PackagedTask[], parts: Parts, context: CheckContext): string[] {
  const xml = partText(parts, 'extension.vsixmanifest');
  if (xml === undefined) return ['extension.vsixmanifest is missing'];
  return [
    ...identityProblems(xml, context),
    ...lengthProblem('extension: name', element(xml, 'DisplayName'), 200),
    ...lengthProblem('extension: description', element(xml, 'Description'), 200),
    ...(element(xml, 'Categories') === 'Azure Pipelines' ? [] : ['extension: its category is not Azure Pipelines']),
    ...assetProblems(xml, parts),
    ...linkProblems(xml, parts),
    ...contributionProblems(tasks, parts),
    ...tabProblems(xml, parts, context),
  ];
}

function identityProblems(xml: string, { version, extensionId }: CheckContext): string[] {
  const identity = /<Identity ([^>]*)>/.exec(xml)?.[1] ?? '';
  const found = attribute(identity, 'Version');
  return [
    ...(attribute(identity, 'Id') === extensionId ? [] : [`extension: its id is not ${extensionId}`]),
    ...(found === version ? [] : [`extension: its version is ${String(found)}, package.json says ${version}`]),
  ];
}

function assetProblems(xml: string, parts: Parts): string[] {
  const assets = new Map(
    [...xml.matchAll(/<Asset ([^>]*)>/g)].map(([, text = '']) => [
      attribute(text, 'Type'),
      attribute(text, 'Path') ?? '',
    ]),
  );
  const missing = [...assets.values()]
    .filter((file) => !parts.has(file))
    .map((file) => `extension: ${file} is missing`);
  const content = ['Content.Details', 'Content.License', 'Content.Privacy', 'Icons.Default']
    .filter((type) => !assets.has(`Microsoft.VisualStudio.Services.${type}`))
    .map((type) => `extension: it has no ${type}`);
  const icon = pngSize(parts.get(assets.get('Microsoft.VisualStudio.Services.Icons.Default') ?? ''));
  const wrongIcon = icon?.width === 128 && icon.height === 128 ? [] : ['extension: its icon is not a PNG of 128x128'];
  return [...missing, ...content, ...wrongIcon];
}

/** Links in the manifest and the Marketplace page must use https or name a file in the package. */
function linkProblems(xml: string, parts: Parts): string[] {
  const inManifest = [...xml.matchAll(/<Property Id="[^"]*\.Links\.[^"]*" Value="([^"]*)"/g)].map(
    ([, link = '']) => link,
  );
  const inOverview = [...(partText(parts, 'overview.md') ?? '').matchAll(/\]\(([^)\s]+)[^)]*\)/g)].map(
    ([, link = '']) => link,
  );
  return [
    ...inManifest.filter((link) => !isWebLink(link)).map((link) => `extension: its link ${link} is not https`),
    ...inOverview
      .filter((link) => !link.startsWith('#') && !isWebLink(link) && !parts.has(path.posix.normalize(link)))
      .map((link) => `overview.md: its link ${link} leads to nothing in the package`),
  ];
}

function isWebLink(link: string): boolean {
  return /^https:\/\/[^/]*\.[^/]/.test(link);
}

function contributionProblems(tasks: readonly PackagedTask[], parts: Parts): string[] {
  const manifest = parsed(partText(parts, 'extension.vsomanifest'));
  if (manifest === undefined) return ['extension.vsomanifest is missing or not JSON'];
  const contributions = (manifest['contributions'] ?? []) as {
    type: string;
    targets?: string[];
    properties?: { name?: string };
  }[];
  const contributed = contributions
    .filter(({ type }) => type === 'ms.vss-distributed-task.task')
    .map(({ properties }) => properties?.name ?? '');
  const folders = tasks.map(({ folder }) => folder.split('/')[0] ?? '');
  return [
    ...((manifest['scopes'] ?? []) as string[])
      .filter((scope) => scope !== tabScope)
      .map((scope) => `extension: asks for the scope ${scope}, which nothing needs`),
    ...contributed
      .filter((name, index) => contributed.indexOf(name) < index)
      .map((name) => `extension: the task ${name} is contributed twice`),
    ...contributed
      .filter((name) => !folders.includes(name))
      .map((name) => `extension: the contribution ${name} has no task.json in the package`),
    ...folders
      .filter((name) => !contributed.includes(name))
      .map((name) => `extension: no contribution names the task in ${name}`),
  ];
}

export function fileProblems(parts: Parts, { machinePaths }: CheckContext): string[] {
  return [...parts].flatMap(([name, content]) => [
    ...(name === '[Content_Types].xml' || knownTypes.includes(path.posix.extname(name))
      ? []
      : [`${name}: files of this type have no content type in the Marketplace`]),
    ...(/[^\w./-]/.test(name) && name !== '[Content_Types].xml'
      ? [`${name}: its name has characters that packages may not have`]
      : []),
    ...machinePaths
      .filter((text) => Buffer.from(content).includes(text))
      .map((text) => `${name}: holds the path ${text} of the machine that built it`),
  ]);
}

/** The text of an element. The manifest is generated: it has no CDATA and no nested elements of the same name. */
function element(xml: string, name: string): string | undefined {
  const text = new RegExp(`<${name}(?: [^>]*)?>([^<]*)</${name}>`).exec(xml)?.[1];
  return text
    ?.replace(/&lt;/g, '<')
    .replace(/&gt;/g, '>')
    .replace(/&quot;/g, '"')
    .replace(/&amp;/g, '&');
}

export function attribute(text: string, name: string): string | undefined {
  return new RegExp(`(?:^| )${name}="([^"]*)"`).exec(text)?.[1];
}
