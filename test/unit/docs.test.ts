import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { repository } from '../../scripts/build';
import { generatedPages } from '../../scripts/docs/pages';
import { renderSite } from '../../scripts/docs/site';
import { writeSite } from '../../scripts/docs/writeSite';

describe('a page that is written from the code', () => {
  let pages: Map<string, string>;

  before(async () => {
    pages = await generatedPages(repository);
  });

  it('is committed as the generator writes it', () => {
    const outdated = [...pages].filter(([page, text]) => committed(page) !== text).map(([page]) => page);
    assert.deepEqual(outdated, [], `Run «npm run docs» and commit what it changes: ${outdated.join(', ')}`);
  });

  it('exists for each task, for failures, findings and rights', () => {
    const tasks = ['ApproveAndRollback', 'HelmSafeDeploy', 'RolloutHealthCheck'].map((name) => `docs/tasks/${name}.md`);
    const expected = [...tasks, 'docs/failures.md', 'docs/plan-findings.md', 'docs/rights.md'];
    assert.deepEqual([...pages.keys()], expected);
  });
});

function committed(page: string): string {
  const file = path.join(repository, page);
  return existsSync(file) ? readFileSync(file, 'utf8') : '';
}

describe('the site', () => {
  let out: string;
  let addresses: string[];

  before(async () => {
    out = await mkdtemp(path.join(tmpdir(), 'helm-safe-deploy-site-'));
    addresses = await writeSite(repository, out);
  });

  after(async () => {
    await rm(out, { recursive: true, force: true });
  });

  it('has only links that lead to a file of the site, and to an anchor in it', async () => {
    const texts = new Map<string, string>();
    for (const address of addresses) texts.set(address, await readFile(path.join(out, address), 'utf8'));
    const links = [...texts].flatMap(([from, html]) =>
      [...html.matchAll(/(?:href|src)="([^"]*)"/g)].map(([, target = '']) => ({ from, target })),
    );
    const broken = links.filter(({ from, target }) => !target.startsWith('https:') && !leads(from, target, texts));
    assert.deepEqual(broken, []);
    assert.ok(links.length > 1000);
  });

  it('needs nothing from the network', async () => {
    for (const address of [...addresses, 'site.css', 'site.js']) {
      const text = await readFile(path.join(out, address), 'utf8');
      assert.doesNotMatch(text, /(?:src|rel="[^"]*" href)="(?:https?:)?\/\/|url\(|@import|fetch\(/, address);
    }
  });

  it('lists every page but the decisions in its navigation', async () => {
    const navigation = /<nav class="site"[^]*?<\/nav>/.exec(await readFile(path.join(out, 'index.html'), 'utf8'))?.[0];
    const listed = [...(navigation ?? '').matchAll(/href="([^"]*)"/g)].map(([, target]) => target);
    const expected = addresses.filter((address) => !/decisions\/\d/.test(address));
    assert.deepEqual([...listed].sort(), [...expected].sort());
  });

  function leads(from: string, target: string, texts: ReadonlyMap<string, string>): boolean {
    const [place = '', id] = target.split('#');
    const file = place === '' ? from : path.posix.join(path.posix.dirname(from), place);
    if (!existsSync(path.join(out, file))) return false;
    return id === undefined || texts.get(file)?.includes(` id="${id}"`) === true;
  }
});

describe('rendering the site', () => {
  const render = (overview: string, more: Record<string, string> = {}) =>
    renderSite({
      markdown: new Map(Object.entries({ 'overview.md': `# Title\n\n${overview}`, ...more })),
      hasFile: (file) => file === 'docs/rbac/role.yaml',
    });
  const page = (text: string, more: Record<string, string> = {}) => render(text, more).pages.get('index.html') ?? '';
  const docs = { 'docs/causes.md': '# Causes\n\n## Out of memory: why?\n\n[back](../overview.md#title)' };

  it('refuses a link to a page, a heading or a file that does not exist', () => {
    for (const link of ['docs/missing.md', 'docs/causes.md#nothing', '#nothing', 'images/none.png', 'http://a.b'])
      assert.throws(() => render(`[x](${link})`, docs), /overview\.md: its link .* leads to no/, link);
  });

  it('leads from page to page, and to headings as GitHub names them', () => {
    assert.match(page('[x](docs/causes.md#out-of-memory-why)', docs), /href="docs\/causes\.html#out-of-memory-why"/);
    assert.match(render('', docs).pages.get('docs/causes.html') ?? '', /href="\.\.\/index\.html#title"/);
  });

  it('names the files that are to be copied', () => {
    assert.deepEqual(render('[role](docs/rbac/role.yaml)').files, ['docs/rbac/role.yaml']);
  });

  it('shows HTML of a page as text, and leaves comments out', () => {
    const html = page('<script>alert(1)</script> <!-- not for readers --> end');
    assert.ok(html.includes('&lt;script&gt;alert(1)'));
    assert.doesNotMatch(html, /not for readers/);
  });
});
