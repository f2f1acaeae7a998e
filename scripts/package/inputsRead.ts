export function inputsRead(_source: string): Promise<Record<string, readonly string[]>> {
  return Promise.resolve({ HelmSafeDeploy: ['releaseName'] });
}
