// Keeps passwords out of everything a person or a log may see. Not a URL parser: it must also work on text that only
// contains a URL, and on text that is not quite one.

// Each part is bounded or ends at a character of its own, so that hostile text costs linear time.
const USERINFO = /([a-z][a-z0-9+.-]{0,31}:\/\/)([^\s/?#@:"'<>]*):([^\s/?#"'<>]*)@/gi;
/** What follows the colon of host:port is no password. */
const WHOLE_USERINFO = /^([a-z][a-z0-9+.-]*:\/\/)([^/?#@:]*):(?!\d{1,5}(?:[/?#]|$))([^]*)@/i;
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

/**
 * redact() for a string that is one URL and nothing else, right or wrong: here a password ends at the last `@`, even when it
 * holds quotes, blanks or an unencoded slash.
 */
export function redactUrl(url: string): string {
  return redact(
    url.includes('://') ? url.replace(WHOLE_USERINFO, '$1$2:***@') : url.replace(/:[^]*@/, ':***@'),
  );
}
