import { writeFile } from 'node:fs/promises';
import { repository } from '../build';
import { packageExtension } from '../package';
import type { FlavourName } from '../package/flavour';

// Builds the package of this checkout into a file. Usage: buildTo FLAVOUR FILE
const [flavour, file] = process.argv.slice(2);
if (file === undefined) throw new Error('Usage: buildTo production|development FILE');
await writeFile(file, await packageExtension(repository, flavour as FlavourName));
