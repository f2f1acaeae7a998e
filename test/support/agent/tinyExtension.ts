import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { strToU8, zipSync } from 'fflate';

/** A task of a few lines, written into a temporary folder for one test. */
export interface TinyTask {
  readonly name?: string;
  readonly main: string;
  readonly pre?: string;
  readonly post?: string;
  /** Merged over the task.json. */
  readonly json?: Readonly<Record<string, unknown>>;
  readonly inputs?: readonly Readonly<Record<string, unknown>>[];
  readonly handlers?: readonly string[];
  /** `<Task>/<Task>V1/` as in the package, or `<Task>/`. */
  readonly layout?: 'versioned' | 'flat';
}

/** Functions that every tiny task may use. */
const prelude = `
const fs = require('node:fs');
const { spawn } = require('node:child_process');
const say = (line) => fs.writeSync(1, line + '\\n');
const forever = () => setInterval(() => {}, 1000);
`;

/** The files of an extension that holds the tasks, by their path in the package. */
export function tinyFiles(tasks: readonly TinyTask[]): Record<string, string> {
  const files: Record<string, string> = {
    'extension.vsixmanifest':
      '<?xml version="1.0"?><PackageManifest><Metadata><Identity Language="en-US" Id="tiny" Version="1.2.3" Publisher="fabrikam"/></Metadata></PackageManifest>',
    'extension.vsomanifest': JSON.stringify({ manifestVersion: 1, contributions: tasks.map(contribution) }),
  };
  for (const task of tasks) Object.assign(files, taskFiles(task));
  return files;
}

function contribution(task: TinyTask): unknown {
  const name = task.name ?? 'Tiny';
  return { id: name.toLowerCase(), type: 'ms.vss-distributed-task.task', properties: { name } };
}

function taskFiles(task: TinyTask): Record<string, string> {
  const name = task.name ?? 'Tiny';
  const folder = task.layout === 'flat' ? name : `${name}/${name}V1`;
  const keys = task.handlers ?? ['Node20_1'];
  const section = (target: string): unknown => Object.fromEntries(keys.map((key) => [key, { target }]));
  const json = {
    id: guidFor(name),
    name,
    friendlyName: `${name} task`,
    description: 'A task of a test.',
    author: 'Fabrikam',
    helpMarkDown: '',
    version: { Major: 1, Minor: 0, Patch: 0 },
    inputs: task.inputs ?? [],
    execution: section('main.js'),
    ...(task.pre !== undefined && { prejobexecution: section('pre.js') }),
    ...(task.post !== undefined && { postjobexecution: section('post.js') }),
    ...task.json,
  };
  return {
    [`${folder}/task.json`]: JSON.stringify(json),
    [`${folder}/main.js`]: prelude + task.main,
    ...(task.pre !== undefined && { [`${folder}/pre.js`]: prelude + task.pre }),
    ...(task.post !== undefined && { [`${folder}/post.js`]: prelude + task.post }),
  };
}

function guidFor(name: string): string {
  return `00000000-0000-4000-8000-${Buffer.from(name.padEnd(6).slice(0, 6)).toString('hex')}`;
}

/** Writes the extension as a folder or as a .vsix into a new temporary folder. Returns the value for createAgent. */
export function writeExtension(files: Readonly<Record<string, string>>, as: 'folder' | 'vsix' = 'folder'): string {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'tiny-'));
  if (as === 'vsix') {
    const vsix = path.join(folder, 'fabrikam.tiny-1.2.3.vsix');
    const entries = Object.entries(files).map(([name, text]) => [name, strToU8(text)] as const);
    fs.writeFileSync(vsix, zipSync(Object.fromEntries(entries)));
    return vsix;
  }
  for (const [name, text] of Object.entries(files)) {
    fs.mkdirSync(path.dirname(path.join(folder, name)), { recursive: true });
    fs.writeFileSync(path.join(folder, name), text);
  }
  return folder;
}
