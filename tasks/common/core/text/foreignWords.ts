/** After these words of Helm or the API server follows text of somebody else, which may imitate any other error. */
const foreignSpeaker =
  /denied (?:the )?request:\s|execution error at \([^()\n]{0,300}\): |error output: ?|failed calling webhook "[^"\n]{0,300}": |an error on the server \("/;

export function ownWords(text: string): string {
  const speaker = foreignSpeaker.exec(text);
  return speaker === null ? text : text.slice(0, speaker.index + speaker[0].length);
}
