import { execFile } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';
import { sopsProgram } from '../../scripts/cluster/pins';
import { providePrograms } from '../../scripts/cluster/programs';

/** A key of age that protects nothing but the files of these tests. */
export const ageKey = {
  recipient: 'age1pq2rl65m5kg8xatr7j3zzckwnh4cqh9l5hcujpc5cm7qdlg5pewsmmandx',
  identity: 'AGE-SECRET-KEY-1SUC5HWMG4TT7TKRRRTVZZK0C00MVUCAAMWHDJS28EJNYM7HHXK3QT8WWMC',
};
export const otherIdentity = 'AGE-SECRET-KEY-1Q422WLU5F87N7KND7DQ8S3CAFD548G5LUAZTA4RXQYPSU0Q4HPVQGTLT7K';

/** The path of sops. The first call builds it, which takes some minutes. */
export async function sops(): Promise<string> {
  const log = (line: string): void => {
    console.error(line);
  };
  const [program = ''] = await providePrograms([sopsProgram], log, new AbortController().signal);
  return program;
}

/** Encrypts a file in its place, for the key of age unless other flags name another key. */
export async function encrypt(file: string, flags: readonly string[] = ['--age', ageKey.recipient]): Promise<void> {
  const args = ['--encrypt', '--in-place', ...flags, file];
  await promisify(execFile)(await sops(), args, { cwd: path.dirname(file) });
}

/** Writes a file of values and encrypts it. Returns its path. */
export async function encryptedFile(file: string, text: string, flags?: readonly string[]): Promise<string> {
  writeFileSync(file, text);
  await encrypt(file, flags);
  return file;
}
