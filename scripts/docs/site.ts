import path from 'node:path';
import { renderMarkdown } from './markdown';
import type { RenderedPage } from './markdown';
import { layout } from './layout';
import type { NavigationGroup } from './layout';

/** The site: its pages, and the files that it links to and that are to be copied. Paths are below the site. */
export interface Site {
  pages: ReadonlyMap<string, string>;
  files: readonly string[];
}

interface Source {
  /** The Markdown of each page, keyed by its path in the repository. */
  markdown: ReadonlyMap<string, string>;
  /** Whether the repository has a file with this path. */
  hasFile: (file: string) => boolean;
}

const groups: readonly { title: string; pages: readonly string[] }[] = [
  { title: 'Start', pages: ['overview.md'] },
  { title: 'Tasks', pages: ['docs/tasks/HelmSafeDeploy.md', 'docs/tasks/'] },
  { title: 'Pipelines', pages: ['docs/templates/deploy-with-rollback.md', 'docs/templates/'] },
  {
    title: 'When it fails',
    pages: [
      'docs/troubleshooting.md',
      'docs/incident-channel.md',
      'docs/causes.md',
      'docs/failures.md',
      'docs/plan-findings.md',
    ],
  },
  {
    title: 'Trust',
    pages: [
      'docs/security.md',
      'docs/privacy.md',
      'docs/package.md',
      'SECURITY.md',
      'docs/reliability.md',
      'docs/benchmarks.md',
      'CHANGELOG.md',
    ],
  },
  {
    title: 'Development',
    pages: ['README.md', 'CONTRIBUTING.md', 'docs/design.md', 'docs/design/', 'docs/decisions/README.md'],
  },
  { title: 'Reference', pages: ['docs/'] },
];

/** The names of pages whose heading is the name of the product. */
const names: Readonly<Record<string, string>> = { 'overview.md': 'Overview', 'README.md': 'Build and test' };

/** Pages that another page lists. The navigation leaves them out. */
const unlisted = /^docs\/decisions\/\d/;

/** Renders the whole site. Throws with all broken links, if there are any. */
export function renderSite({ markdown, hasFile }: Source): Site {
  const files = new Set<string>();
  const broken: string[] = [];
  const anchors: { from: string; page: string; id: string }[] = [];
  const resolverOf =
    (from: string) =>
    (target: string): string => {
      if (/^https:\/\//.test(target)) return target;
      const [place = '', id] = target.split('#');
      const file = place === '' ? from : path.posix.normalize(path.posix.join(path.posix.dirname(from), place));
      if (id !== undefined) anchors.push({ from, page: file, id });
      if (markdown.has(file)) return linkBetween(from, addressOf(file), id);
      if (hasFile(file)) files.add(file);
      else broken.push(`${from}: its link ${target} leads to nothing`);
      return linkBetween(from, file, undefined);
    };
  const rendered = new Map([...markdown].map(([page, text]) => [page, renderMarkdown(text, resolverOf(page))]));
  for (const { from, page, id } of anchors)
    if (rendered.get(page)?.headings.some((heading) => heading.id === id) !== true)
      broken.push(`${from}: its link ${page}#${id} leads to no heading`);
  if (broken.length > 0) throw new Error(`The documentation has broken links:\n${broken.join('\n')}`);
  return { pages: withLayout(rendered), files: [...files].sort() };
}

function withLayout(rendered: ReadonlyMap<string, RenderedPage>): Map<string, string> {
  const navigation = navigationOf(rendered);
  return new Map(
    [...rendered].map(([source, page]) => {
      const address = addressOf(source);
      const toRoot = '../'.repeat(address.split('/').length - 1);
      return [address, layout({ page, address, toRoot, navigation })];
    }),
  );
}

/** The groups with their pages. A page belongs to the first group that names it or a folder above it. */
function navigationOf(rendered: ReadonlyMap<string, RenderedPage>): NavigationGroup[] {
  const left = new Set([...rendered.keys()].filter((page) => !unlisted.test(page)));
  return groups.map(({ title, pages }) => {
    const inPlaces = pages.flatMap((place) =>
      [...left].filter((page) => page === place || isInFolder(page, place)).sort(),
    );
    const found = [...new Set(inPlaces)];
    for (const page of found) left.delete(page);
    const entries = found.map((page) => ({
      address: addressOf(page),
      title: names[page] ?? rendered.get(page)?.title ?? page,
    }));
    return { title, entries };
  });
}

function isInFolder(page: string, place: string): boolean {
  return place.endsWith('/') && path.posix.dirname(page) === place.slice(0, -1);
}

/** The headings of all pages for the search, as the script of the site reads them. */
export function searchScript(site: Source): string {
  const entries = [...site.markdown].flatMap(([page, text]) =>
    renderMarkdown(text, (target) => target).headings.map(({ text: heading, id, level }) => [
      heading,
      level === 1 ? addressOf(page) : `${addressOf(page)}#${id}`,
    ]),
  );
  return `const headings = ${JSON.stringify(entries)};\n`;
}

function addressOf(page: string): string {
  return page === 'overview.md' ? 'index.html' : page.replace(/\.md$/, '.html');
}

function linkBetween(from: string, address: string, id: string | undefined): string {
  const folder = path.posix.dirname(addressOf(from));
  return `${path.posix.relative(folder, address)}${id === undefined ? '' : `#${id}`}`;
}
