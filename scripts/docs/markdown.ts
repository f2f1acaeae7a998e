import MarkdownIt from 'markdown-it';
import type { Token } from 'markdown-it';

export interface Heading {
  level: number;
  text: string;
  /** The anchor, as GitHub makes it. */
  id: string;
}

export interface RenderedPage {
  html: string;
  title: string;
  headings: readonly Heading[];
}

/** Turns the target of a link or picture into an address on the site. Throws if it leads to nothing. */
export type ResolveLink = (target: string) => string;

/** Renders the Markdown of one page. HTML in the text is shown as text, and comments are left out. */
export function renderMarkdown(text: string, resolveLink: ResolveLink): RenderedPage {
  const markdown = new MarkdownIt({ html: false });
  const tokens = markdown.parse(text.replace(/<!--[^]*?-->/g, ''), {});
  const headings = anchoredHeadings(tokens);
  // An empty cell is no heading for a screen reader.
  for (const [index, token] of tokens.entries()) {
    const isEmpty = token.type === 'th_open' && tokens[index + 1]?.content === '';
    for (const part of isEmpty ? [token, tokens[index + 2]] : []) if (part !== undefined) part.tag = 'td';
  }
  for (const token of tokens.flatMap(({ children }) => children ?? [])) {
    for (const name of ['href', 'src']) {
      const target = token.attrGet(name);
      if (target !== null) token.attrSet(name, resolveLink(String(target)));
    }
  }
  const { rules } = markdown.renderer;
  // A keyboard can scroll what is wider than the window only if it can have the focus.
  rules['table_open'] = () => '<div class="table" role="group" aria-label="Table" tabindex="0"><table>\n';
  rules['table_close'] = () => '</table></div>\n';
  const fence = rules['fence'];
  rules['fence'] = (...args) => (fence?.(...args) ?? '').replace('<pre>', '<pre tabindex="0">');
  const html = markdown.renderer.render(tokens, markdown.options, {});
  return { html, title: headings[0]?.text ?? '', headings };
}

function anchoredHeadings(tokens: readonly Token[]): Heading[] {
  const seen = new Map<string, number>();
  return tokens.flatMap((token, index) => {
    if (token.type !== 'heading_open') return [];
    const text = plainText(tokens[index + 1]);
    const slug = slugOf(text);
    const count = seen.get(slug) ?? 0;
    seen.set(slug, count + 1);
    const id = count === 0 ? slug : `${slug}-${String(count)}`;
    token.attrSet('id', id);
    return [{ level: Number(token.tag.slice(1)), text, id }];
  });
}

function plainText(inline: Token | undefined): string {
  return (inline?.children ?? []).map(({ content }) => content).join('');
}

function slugOf(text: string): string {
  return text
    .toLowerCase()
    .replace(/[^\p{L}\p{N}_ -]/gu, '')
    .replace(/ /g, '-');
}
