import type { Heading, RenderedPage } from './markdown';

export interface NavigationGroup {
  title: string;
  entries: readonly { address: string; title: string }[];
}

interface LayoutOptions {
  page: RenderedPage;
  address: string;
  /** The relative way from the page to the root of the site: empty, or `../` several times. */
  toRoot: string;
  navigation: readonly NavigationGroup[];
}

/** The whole HTML of a page. All files that it needs are beside it, so that it works without a network. */
export function layout({ page, address, toRoot, navigation }: LayoutOptions): string {
  return `<!doctype html>
<html lang="en" data-root="${toRoot}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${page.title === productName ? productName : `${escaped(page.title)} · ${productName}`}</title>
<link rel="stylesheet" href="${toRoot}site.css">
<link rel="icon" href="${toRoot}images/extension-icon.png">
<script src="${toRoot}headings.js" defer></script>
<script src="${toRoot}site.js" defer></script>
</head>
<body>
<a class="skip" href="#content">Skip to the text</a>
<header>
<a class="home" href="${toRoot}index.html"><img src="${toRoot}images/extension-icon.png" alt="" width="28" height="28">${productName}</a>
<div class="search" role="search">
<input type="search" id="search" placeholder="Find an input or a code" aria-label="Find an input or a code" autocomplete="off">
<ul id="found" aria-label="Found headings" hidden></ul>
</div>
</header>
<div class="columns">
<nav class="site" aria-label="Pages">
${navigation.map((group) => navigationGroup(group, address, toRoot)).join('\n')}
</nav>
<main id="content" tabindex="-1">
${page.html}
</main>
${contents(page.headings)}
</div>
</body>
</html>
`;
}

const productName = 'Helm Safe Deploy';

function navigationGroup({ title, entries }: NavigationGroup, address: string, toRoot: string): string {
  const links = entries.map((entry) => {
    const current = entry.address === address ? ' aria-current="page"' : '';
    return `<li><a href="${toRoot}${entry.address}"${current}>${escaped(entry.title)}</a></li>`;
  });
  return `<p>${title}</p>\n<ul>${links.join('')}</ul>`;
}

function contents(headings: readonly Heading[]): string {
  const links = headings
    .filter(({ level }) => level > 1)
    .map(({ level, text, id }) => `<li class="level${String(level)}"><a href="#${id}">${escaped(text)}</a></li>`);
  if (links.length < 2) return '';
  return `<nav class="contents" aria-label="On this page">\n<p>On this page</p>\n<ul>${links.join('')}</ul>\n</nav>`;
}

function escaped(text: string): string {
  return text.replace(/&/g, '&amp;').replace(/</g, '&lt;').replace(/>/g, '&gt;').replace(/"/g, '&quot;');
}
