'use strict';
// The only plain JavaScript of the project: makes sure the dependencies of the lockfile are installed,
// then runs a TypeScript file. Usage: node scripts/run.cjs FILE [ARGUMENT ...]
const { spawn, spawnSync } = require('node:child_process');
const { createHash } = require('node:crypto');
const fs = require('node:fs');
const path = require('node:path');

const root = path.join(__dirname, '..');
const stamp = path.join(root, 'node_modules', '.helm-safe-deploy-lock');

function lockDigest() {
  return createHash('sha256').update(fs.readFileSync(path.join(root, 'package-lock.json'))).digest('hex');
}

function isInstalled() {
  try {
    return fs.readFileSync(stamp, 'utf8') === lockDigest();
  } catch {
    return false;
  }
}

function install() {
  console.error('Installing the dependencies (npm ci) ...');
  const npm = spawnSync('npm', ['ci', '--no-audit', '--no-fund'], {
    cwd: root,
    stdio: ['ignore', 2, 2],
    shell: process.platform === 'win32',
  });
  if (npm.status !== 0) {
    console.error('npm ci failed; its output above says why.');
    process.exit(npm.status || 1);
  }
  fs.writeFileSync(stamp, lockDigest());
}

if (!isInstalled()) install();

const [file, ...args] = process.argv.slice(2);
const child = spawn(process.execPath, ['--import', 'tsx', path.join(root, file), ...args], { cwd: root, stdio: 'inherit' });
// The terminal signals the whole group; a signal sent to this process alone has to be passed on.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
child.on('exit', (code, signal) => {
  process.exitCode = signal ? 1 : code;
});
