import { createHash } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { succeed } from './command';

/**
 * The images on a real node. With the registry `localhost`, a missing image is never requested from another machine.
 */
export const images = {
  busybox: 'localhost/busybox:1',
  app: 'localhost/sample-app:1',
} as const;

export const pauseImage = 'localhost/pause:1';

interface Image {
  readonly name: string;
  readonly layers: readonly Layer[];
  readonly entrypoint?: readonly string[];
  readonly command?: readonly string[];
}

interface Layer {
  readonly fileName: string;
  readonly digest: string;
}

/**
 * Writes an archive (format of `docker save`) with all images of the node: a static busybox with a link per applet, the
 * sample application on top of it, and pause, which only sleeps. Returns the path of the archive.
 */
export async function writeImageArchive(folder: string, busybox: string, sampleApp: string): Promise<string> {
  const work = path.join(folder, 'images');
  fs.mkdirSync(work, { recursive: true });
  const applets = (await succeed(busybox, ['--list'])).trim().split('\n');
  const base = await layer(work, 'base', (root) => {
    fillBaseSystem(root, busybox, applets);
  });
  const app = await layer(work, 'app', (root) => {
    copyProgram(sampleApp, path.join(root, 'app'));
  });
  const archive = path.join(folder, 'images.tar');
  await writeArchive(work, archive, [
    { name: images.busybox, layers: [base], command: ['sh'] },
    { name: images.app, layers: [base, app], entrypoint: ['/app'] },
    { name: pauseImage, layers: [base], entrypoint: ['/bin/sleep', 'infinity'] },
  ]);
  fs.rmSync(work, { recursive: true });
  return archive;
}

async function writeArchive(work: string, archive: string, content: readonly Image[]): Promise<void> {
  const entries = content.map((image, index) => {
    const config = `config-${index}.json`;
    fs.writeFileSync(path.join(work, config), JSON.stringify(imageConfig(image)));
    return { Config: config, RepoTags: [image.name], Layers: image.layers.map(({ fileName }) => fileName) };
  });
  fs.writeFileSync(path.join(work, 'manifest.json'), JSON.stringify(entries));
  const members = new Set(['manifest.json', ...entries.flatMap(({ Config, Layers }) => [Config, ...Layers])]);
  await succeed('tar', ['-cf', archive, '-C', work, ...members]);
}

function imageConfig({ layers, entrypoint, command }: Image): unknown {
  return {
    architecture: process.arch === 'x64' ? 'amd64' : process.arch,
    os: 'linux',
    config: {
      Env: ['PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'],
      WorkingDir: '/',
      ...(entrypoint ? { Entrypoint: entrypoint } : {}),
      ...(command ? { Cmd: command } : {}),
    },
    rootfs: { type: 'layers', diff_ids: layers.map(({ digest }) => `sha256:${digest}`) },
    history: layers.map(() => ({ created_by: 'helm-safe-deploy cluster' })),
  };
}

async function layer(work: string, name: string, fill: (root: string) => void): Promise<Layer> {
  const root = path.join(work, name);
  fs.mkdirSync(root);
  fill(root);
  const fileName = `${name}.tar`;
  const file = path.join(work, fileName);
  await succeed('tar', [
    '--owner=0',
    '--group=0',
    '--numeric-owner',
    '--sort=name',
    '--mtime=@0',
    '-cf',
    file,
    '-C',
    root,
    '.',
  ]);
  return { fileName, digest: createHash('sha256').update(fs.readFileSync(file)).digest('hex') };
}

function fillBaseSystem(root: string, busybox: string, applets: readonly string[]): void {
  for (const folder of ['bin', 'etc', 'home', 'root', 'usr/bin', 'var/log', 'var/run', 'www']) {
    fs.mkdirSync(path.join(root, folder), { recursive: true });
  }
  fs.mkdirSync(path.join(root, 'tmp'));
  fs.chmodSync(path.join(root, 'tmp'), 0o1777);
  copyProgram(busybox, path.join(root, 'bin/busybox'));
  for (const applet of applets) {
    if (applet !== 'busybox') fs.symlinkSync('busybox', path.join(root, 'bin', applet));
  }
  fs.symlinkSync('/bin/env', path.join(root, 'usr/bin/env'));
  fs.writeFileSync(
    path.join(root, 'etc/passwd'),
    'root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/sh\n',
  );
  fs.writeFileSync(path.join(root, 'etc/group'), 'root:x:0:\nnogroup:x:65534:\n');
}

function copyProgram(from: string, to: string): void {
  fs.copyFileSync(from, to);
  fs.chmodSync(to, 0o755);
}
