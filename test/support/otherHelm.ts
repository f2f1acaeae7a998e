import { otherHelms } from '../../scripts/cluster/pins';
import { providePrograms } from '../../scripts/cluster/programs';

/** The path of a Helm that the clusters do not include. The first call builds it, which takes a minute or two. */
export async function otherHelm(version: keyof typeof otherHelms): Promise<string> {
  const log = (line: string): void => {
    console.error(line);
  };
  const [program = ''] = await providePrograms([otherHelms[version]], log, new AbortController().signal);
  return program;
}
