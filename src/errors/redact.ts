// Keeps passwords out of everything a person or a log may see. Not a URL parser: it must also work on text that only
// contains a URL, and on text that is not quite one.

const USERINFO = /([a-z][a-z0-9+.-]*:\/\/)([^\s/?#@"'<>]*):([^\s/?#"'<>]*)@/gi;
const SECRET_PARAMETER = /([?&](?:password|passwd|pass|pw|secret|token|key|authkey)=)([^&#\s"'<>]*)/gi;

/**
 * Replaces the password of every URL in a text by `***`, and the values of query parameters that hold secrets.
 *
 * @param text  any text: a URL, a message, a stack
 * @returns the same text, fit to be shown
 */
export function redact(text: string): string {
  return text.replace(USERINFO, '$1$2:***@').replace(SECRET_PARAMETER, '$1***');
}
