/**
 * The SHA-256 of Helm's archives, by their name on the download site. `npm run helm-sums` writes this list before a
 * release. An archive that is not in the list is compared only with the sum that the download site publishes.
 */
export const helmSums: Readonly<Record<string, string>> = {};
