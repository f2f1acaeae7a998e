import { copyFile, mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { build as esbuild, type Plugin } from 'esbuild';
import type { TaskIds } from './package/flavour';
import { thirdPartyNotices } from './package/thirdPartyNotices';

/** The folder of the results tab, in the source and in the package. */
export const tabFolder = 'tab';

/**
 * Builds the results tab into `to`: its page, one script and one style sheet. `ids` are those of the tasks that it shows,
 * by default those of `tasks/ids.json`. Returns the files of its bundle, relative to the source.
 */
export async function buildTab(source: string, to: string, ids?: TaskIds): Promise<{ inputs: string[] }> {
  const from = path.join(source, tabFolder);
  const result = await esbuild({
    absWorkingDir: source,
    entryPoints: { tab: path.join(from, 'main.ts'), style: path.join(from, 'tab.css') },
    outdir: tabFolder,
    bundle: true,
    minify: true,
    platform: 'browser',
    target: 'es2022',
    format: 'iife',
    charset: 'utf8',
    legalComments: 'external',
    metafile: true,
    write: false,
    logLevel: 'silent',
    plugins: [unusedPartsOfYaml, ...(ids === undefined ? [] : [idsOfTasks(ids)])],
  });
  await mkdir(to, { recursive: true });
  const outputs = new Map(result.outputFiles.map((file) => [path.basename(file.path), file.text]));
  const inputs = Object.keys(result.metafile.inputs);
  const notices = await thirdPartyNotices({
    source,
    inputs,
    legalComments: outputs.get('tab.js.LEGAL.txt') ?? '',
  });
  await copyFile(path.join(from, 'index.html'), path.join(to, 'index.html'));
  for (const name of ['tab.js', 'style.css']) await writeFile(path.join(to, name), outputs.get(name) ?? '');
  await writeFile(path.join(to, 'ThirdPartyNotices.md'), notices);
  return { inputs };
}

function idsOfTasks(ids: TaskIds): Plugin {
  return {
    name: 'ids-of-tasks',
    setup: (context) => {
      context.onLoad({ filter: /[\\/]tasks[\\/]ids\.json$/ }, () => ({
        contents: JSON.stringify(ids),
        loader: 'json',
      }));
    },
  };
}

/** The core's readers of YAML come along with helpers of the tab, which uses none of them. The packages do not say that this is safe. */
const unusedPartsOfYaml: Plugin = {
  name: 'unused-parts-of-yaml',
  setup: (context) => {
    context.onResolve({ filter: /^(js-)?yaml$/ }, async ({ path: name, kind, resolveDir, pluginData }) => {
      if (pluginData === 'resolving') return undefined;
      const found = await context.resolve(name, { kind, resolveDir, pluginData: 'resolving' });
      return { ...found, sideEffects: false };
    });
  },
};
