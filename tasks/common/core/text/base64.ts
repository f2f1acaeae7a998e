export function base64(content: string | Uint8Array): string {
  let binary = '';
  for (const byte of typeof content === 'string' ? new TextEncoder().encode(content) : content) {
    binary += String.fromCharCode(byte);
  }
  return btoa(binary);
}

/** Throws if the text is not base64. Bytes that are not UTF-8 become U+FFFD, or are an error if `fatal`. */
export function fromBase64(text: string, { fatal = false } = {}): string {
  const bytes = Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  return new TextDecoder('utf-8', { fatal }).decode(bytes);
}
