import fs from 'node:fs';
import http from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { build } from 'esbuild';
import type { Browser, FrameLocator, Page } from 'playwright-core';
import { repository } from '../../../scripts/build';
import { buildTab } from '../../../scripts/buildTab';
import { temporaryFolder } from './browser';
import type { HostSettings } from './hostSettings';
import { startRunServer, token, type RunServer } from './runServer';
import { themes, type ThemeName } from './themes';

/** The page of a run, the tab in its frame, and the server of Azure DevOps: each on an origin of its own. */
export interface TabStage {
  readonly run: RunServer;
  /** The address of the host's page. */
  hostAddress(options?: TabOptions): string;
  open(browser: Browser, options?: TabOptions): Promise<OpenTab>;
  close(): Promise<void>;
}

export interface TabOptions {
  theme?: ThemeName;
  hasClipboard?: boolean;
  parameters?: Readonly<Record<string, string>>;
  width?: number;
  height?: number;
  /** Options of the browser's context, such as forced colours. */
  context?: Parameters<Browser['newContext']>[0];
}

export interface OpenTab {
  page: Page;
  /** What the tab shows. */
  frame: FrameLocator;
  /** What a program error of the tab or of the page wrote. */
  errors: readonly string[];
  close(): Promise<void>;
}

const types: Readonly<Record<string, string>> = { '.html': 'text/html', '.js': 'text/javascript', '.css': 'text/css' };

export async function openTabStage(): Promise<TabStage> {
  const folder = temporaryFolder('tab');
  await buildTab(repository, folder);
  const hostScript = await bundleHostPage();
  const run = await startRunServer();
  const tab = await serve((url) => fileOf(folder, url.pathname));
  const host = await serve((url) => {
    if (url.pathname === '/host.js') return { type: 'text/javascript', body: hostScript };
    const given = JSON.parse(url.searchParams.get('options') ?? '{}') as TabOptions;
    return { type: 'text/html; charset=utf-8', body: hostHtml(settingsOf(run, `${tab.origin}/index.html`, given)) };
  });
  const hostAddress = (options: TabOptions = {}): string => {
    const { theme, hasClipboard, parameters } = options;
    return `${host.origin}/?${new URLSearchParams({ options: JSON.stringify({ theme, hasClipboard, parameters }) }).toString()}`;
  };
  return {
    run,
    hostAddress,
    open: async (browser, options = {}) => {
      const { width = 1366, height = 768 } = options;
      const context = await browser.newContext({ viewport: { width, height }, ...options.context });
      if (options.hasClipboard === true) {
        await context.grantPermissions(['clipboard-read', 'clipboard-write'], { origin: tab.origin });
        await context.grantPermissions(['clipboard-read', 'clipboard-write'], { origin: host.origin });
      }
      const page = await context.newPage();
      const errors: string[] = [];
      page.on('pageerror', (error) => errors.push(error.message));
      await page.goto(hostAddress(options));
      return { page, frame: page.frameLocator('iframe'), errors, close: () => context.close() };
    },
    close: async () => {
      await Promise.all([run.close(), tab.close(), host.close()]);
      fs.rmSync(folder, { recursive: true, force: true });
    },
  };
}

async function bundleHostPage(): Promise<string> {
  const result = await build({
    entryPoints: [path.join(import.meta.dirname, 'page', 'hostPage.ts')],
    bundle: true,
    write: false,
    format: 'iife',
    target: 'es2022',
    logLevel: 'silent',
  });
  return result.outputFiles[0]?.text ?? '';
}

function settingsOf(run: RunServer, tab: string, options: TabOptions): HostSettings {
  const { base, projectId, buildId } = run;
  const { theme = 'light', hasClipboard = true, parameters = {} } = options;
  return { tab, base, projectId, buildId, token, theme: themes[theme], hasClipboard, parameters: { ...parameters } };
}

function hostHtml(settings: HostSettings): string {
  const json = JSON.stringify(settings).replaceAll('<', '\\u003c');
  const { 'background-color': background, 'text-primary-color': text } = settings.theme;
  return `<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>Run 20260301.1</title>
<style>body{margin:0;background:${background ?? ''};color:${text ?? ''}}iframe{display:block;width:100%;height:150px;border:0}</style></head>
<body><script>window.hostSettings = ${json};</script><script src="/host.js"></script></body>
</html>`;
}

interface Answer {
  type: string;
  body: string;
}

function fileOf(folder: string, pathname: string): Answer | undefined {
  const file = path.join(folder, path.basename(pathname));
  const type = types[path.extname(file)];
  return type === undefined || !fs.existsSync(file) ? undefined : { type, body: fs.readFileSync(file, 'utf8') };
}

async function serve(
  answer: (url: URL) => Answer | undefined,
): Promise<{ origin: string; close: () => Promise<void> }> {
  const server = http.createServer((request, response) => {
    const found = answer(new URL(request.url ?? '/', 'http://stand-in'));
    if (found === undefined) response.writeHead(404).end();
    else response.writeHead(200, { 'Content-Type': found.type }).end(found.body);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    close: async () => {
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}
