import { tabFolder } from '../buildTab';
import { parsed, type CheckContext } from './packageUnderCheck';
import { partText, type Parts } from './vsix';

/** The only right that the results tab asks for: to read runs. A new scope has to be approved by every customer. */
export const tabScope = 'vso.build';

/** The budget of page, script and style sheet together, as they are in the package. */
export const mostTabBytes = 120_000;

const page = `${tabFolder}/index.html`;

interface Contribution {
  type?: string;
  targets?: readonly string[];
  properties?: { name?: string; uri?: string; supportsTasks?: readonly string[] };
}

/** Problems of the results tab: its contribution, its files and their content. */
export function tabProblems(xml: string, parts: Parts, context: CheckContext): string[] {
  const files = [...parts.keys()].filter((name) => name.startsWith(`${tabFolder}/`) && !name.endsWith('.md'));
  return [
    ...contributionProblems(parts, context),
    ...files
      .filter((name) => !isAddressable(xml, name))
      .map((name) => `${name}: a browser cannot load it, because it is not addressable`),
    ...sizeProblems(files, parts),
    ...files.flatMap((name) => contentProblems(name, partText(parts, name) ?? '')),
    ...pageProblems(parts),
  ];
}

function contributionProblems(parts: Parts, { taskIds }: CheckContext): string[] {
  const manifest = parsed(partText(parts, 'extension.vsomanifest')) ?? {};
  const tabs = ((manifest['contributions'] ?? []) as Contribution[]).filter(
    ({ type }) => type === 'ms.vss-build-web.build-results-tab',
  );
  const [tab] = tabs;
  if (tab === undefined || tabs.length > 1) return [`extension: it has ${tabs.length} results tabs instead of one`];
  const { uri, supportsTasks = [] } = tab.properties ?? {};
  const supported = supportsTasks.map((id) => id.toLowerCase()).sort();
  const tasks = Object.values(taskIds).sort();
  return [
    ...(uri === page ? [] : [`extension: its results tab has the page ${String(uri)}, not ${page}`]),
    ...(tab.targets?.includes('ms.vss-build-web.build-results-view') === true
      ? []
      : ['extension: its results tab is not shown with the results of a run']),
    ...(supported.join() === tasks.join()
      ? []
      : ['extension: its results tab is shown for other tasks than those of the extension (supportsTasks)']),
    ...(((manifest['scopes'] ?? []) as string[]).includes(tabScope)
      ? []
      : [`extension: its results tab needs the scope ${tabScope}`]),
  ];
}

function isAddressable(xml: string, name: string): boolean {
  return [...xml.matchAll(/<Asset ([^>]*)>/g)].some(
    ([, text = '']) => text.includes(`Path="${name}"`) && text.includes('Addressable="true"'),
  );
}

function sizeProblems(files: readonly string[], parts: Parts): string[] {
  const bytes = files.reduce((sum, name) => sum + (parts.get(name)?.length ?? 0), 0);
  return bytes <= mostTabBytes
    ? []
    : [`${tabFolder}: its files have ${String(bytes)} bytes; the budget is ${String(mostTabBytes)}`];
}

/** By these, text could become markup or a program. */
const makers = /\.(?:innerHTML|outerHTML|insertAdjacentHTML|srcdoc)\b|\bdocument\.write|\beval\(|\bnew Function\b/;

function contentProblems(name: string, text: string): string[] {
  const maker = makers.exec(text)?.[0];
  return maker === undefined ? [] : [`${name}: uses ${maker}, by which text could become markup`];
}

/** The page must load the files of the package and nothing else. */
function pageProblems(parts: Parts): string[] {
  const html = partText(parts, page);
  if (html === undefined) return [`${page} is missing`];
  const loaded = [...html.matchAll(/\b(?:src|href)="([^"]*)"/g)].map(([, file = '']) => file);
  return [
    ...loaded
      .filter((file) => !parts.has(`${tabFolder}/${file}`))
      .map((file) => `${page}: loads ${file}, which is not in its folder`),
    ...(/<script(?![^>]*\bsrc=)|\bon\w+=|<style/.test(html) ? [`${page}: holds a script or a style of its own`] : []),
  ];
}
